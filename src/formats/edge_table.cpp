// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/edge_table.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>
#include <unordered_map>

#include "column_names.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "multigrnformer/formats/text_lines.hpp"
#include "multigrnformer/formats/text_writer.hpp"
#include "rows.hpp"

namespace mgrn::formats {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

void require_writable(const std::filesystem::path& file, const EdgeTable& table) {
  for (const std::string& name : table.genes) {
    if (name.empty() || name.find_first_of("\t\r\n") != std::string::npos) {
      throw base::InternalError({.what = "gene name cannot stand in a table of edges",
                                 .file = file.string(),
                                 .got = excerpt(name)});
    }
  }
  for (const WeightedEdge& edge : table.edges) {
    if (!std::isfinite(edge.weight) || edge.tf >= table.genes.size() || edge.gene >= table.genes.size()) {
      throw base::InternalError({.what = "edge without finite weight or with an unknown gene",
                                 .file = file.string(),
                                 .got = number_text(edge.weight)});
    }
  }
}

void write_tsv(const std::filesystem::path& file, const EdgeTable& table, std::string_view header) {
  require_writable(file, table);
  TextWriter writer(file);
  std::string text(header);
  for (const WeightedEdge& edge : table.edges) {
    text.append(table.genes[edge.tf]).append(1, '\t').append(table.genes[edge.gene]).append(1, '\t');
    append_number(text, edge.weight);
    text += '\n';
    if (text.size() > kPiece) {
      writer.write(text);
      text.clear();
    }
  }
  writer.write(text);
  writer.finish();
}

std::string xml_escaped(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&apos;";
        break;
      default:
        // XML 1.0 has no way to write the other control characters.
        out += static_cast<unsigned char>(letter) < 0x20 ? '_' : letter;
    }
  }
  return out;
}

}  // namespace

void sort_edges(EdgeTable& table) {
  const std::vector<std::string>& genes = table.genes;
  std::sort(table.edges.begin(), table.edges.end(), [&genes](const WeightedEdge& a, const WeightedEdge& b) {
    const double left = std::abs(a.weight);
    const double right = std::abs(b.weight);
    if (left != right) {
      return left > right;
    }
    if (a.tf != b.tf) {
      return genes[a.tf] < genes[b.tf];
    }
    if (a.gene != b.gene) {
      return genes[a.gene] < genes[b.gene];
    }
    return a.weight > b.weight;
  });
}

void write_ranked_edges(const std::filesystem::path& file, const EdgeTable& table) {
  write_tsv(file, table, "Gene1\tGene2\tEdgeWeight\n");
}

void write_arboreto(const std::filesystem::path& file, const EdgeTable& table) {
  write_tsv(file, table, "TF\ttarget\timportance\n");
}

void write_graphml(const std::filesystem::path& file, const EdgeTable& table) {
  require_writable(file, table);
  std::vector<bool> used(table.genes.size(), false);
  for (const WeightedEdge& edge : table.edges) {
    used[edge.tf] = true;
    used[edge.gene] = true;
  }
  std::vector<std::string> escaped(table.genes.size());
  TextWriter writer(file);
  std::string text =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n"
      "  <key id=\"weight\" for=\"edge\" attr.name=\"weight\" attr.type=\"double\"/>\n"
      "  <graph id=\"network\" edgedefault=\"directed\">\n";
  for (std::size_t i = 0; i < table.genes.size(); ++i) {
    if (used[i]) {
      escaped[i] = xml_escaped(table.genes[i]);
      text.append("    <node id=\"").append(escaped[i]).append("\"/>\n");
    }
  }
  for (const WeightedEdge& edge : table.edges) {
    text.append("    <edge source=\"")
        .append(escaped[edge.tf])
        .append("\" target=\"")
        .append(escaped[edge.gene]);
    text += "\"><data key=\"weight\">";
    append_number(text, edge.weight);
    text += "</data></edge>\n";
    if (text.size() > kPiece) {
      writer.write(text);
      text.clear();
    }
  }
  text += "  </graph>\n</graphml>\n";
  writer.write(text);
  writer.finish();
}

EdgeTable read_ranked_edges(const std::filesystem::path& file) {
  LineReader reader(file);
  EdgeTable table;
  std::unordered_map<std::string, std::uint32_t> index;
  std::size_t tf_column = 0;
  std::size_t gene_column = 1;
  std::size_t value_column = 2;
  const auto gene_index = [&](std::string_view name) {
    const auto [place, added] =
        index.emplace(std::string(name), static_cast<std::uint32_t>(table.genes.size()));
    if (added) {
      table.genes.emplace_back(name);
    }
    return place->second;
  };
  const auto is_header = [&](std::span<const std::string_view> fields) {
    const std::size_t regulator = regulator_column(fields);
    const std::size_t target = target_column(fields);
    const std::size_t weight = weight_column(fields);
    if (regulator != kNoColumn && target != kNoColumn && weight != kNoColumn) {
      tf_column = regulator;
      gene_column = target;
      value_column = weight;
      return true;
    }
    double value = 0;
    return fields.size() >= 3 && !parse_number(trim(fields[2]), value);
  };
  for_each_row(reader, is_header, [&](std::span<const std::string_view> fields, std::string_view) {
    if (fields.size() <= std::max({tf_column, gene_column, value_column})) {
      reader.fail("edge row has too few columns", "TF, target, weight",
                  std::to_string(fields.size()) + " columns");
    }
    const std::string_view tf = trim(fields[tf_column]);
    const std::string_view gene = trim(fields[gene_column]);
    WeightedEdge edge;
    if (tf.empty() || gene.empty()) {
      reader.fail("edge row has an empty name", "TF, target, weight");
    }
    if (!parse_number(trim(fields[value_column]), edge.weight) || !std::isfinite(edge.weight)) {
      reader.fail("edge weight is not a finite number", "a number", excerpt(fields[value_column]));
    }
    edge.tf = gene_index(tf);
    edge.gene = gene_index(gene);
    table.edges.push_back(edge);
  });
  if (table.edges.empty()) {
    throw base::DataError({.what = "file holds no edge",
                           .file = reader.file(),
                           .expected = "rows of TF, target, weight",
                           .hint = "give the ranked edges of a run, such as rankedEdges.csv"});
  }
  return table;
}

}  // namespace mgrn::formats
