// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/network_file.hpp"

#include <algorithm>
#include <unordered_set>

#include "column_names.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "multigrnformer/formats/text_lines.hpp"

namespace mgrn::formats {
namespace {

bool is_number(std::string_view text) {
  double value = 0;
  return parse_number(trim(text), value);
}

}  // namespace

NetworkFile read_network(const std::filesystem::path& file) {
  LineReader reader(file);
  NetworkFile network;
  std::unordered_set<std::string> seen;
  FieldSplitter splitter(',');
  std::size_t tf_column = 0;
  std::size_t gene_column = 1;
  // The first line, where its third field leaves open whether it is a header; settled by the second.
  std::string undecided;
  std::uint64_t rows = 0;

  const auto add = [&](std::span<const std::string_view> fields) {
    if (fields.size() <= std::max(tf_column, gene_column)) {
      reader.fail("network row has too few columns", "two or more: TF, gene", std::to_string(fields.size()),
                  "separate TF and gene by a comma or a tab");
    }
    const std::string_view tf = trim(fields[tf_column]);
    const std::string_view gene = trim(fields[gene_column]);
    if (tf.empty() || gene.empty()) {
      reader.fail("network row has an empty name", "TF, gene", tf.empty() ? "no TF" : "no gene");
    }
    ++network.lines;
    std::string tf_key = base::symbol_key(tf);
    const std::string gene_key = base::symbol_key(gene);
    if (tf_key == gene_key) {
      ++network.self_loops;
    } else if (!seen.insert(tf_key.append(1, '\t').append(gene_key)).second) {
      ++network.duplicates;
    } else {
      network.edges.push_back({std::string(tf), std::string(gene)});
    }
  };

  std::string_view line;
  while (reader.next(line)) {
    const std::string_view content = trim(line);
    if (content.empty() || (content.front() == '#' && rows == 0)) {
      continue;
    }
    ++rows;
    if (rows == 1) {
      splitter = FieldSplitter(detect_delimiter(line));
      const auto fields = splitter.split(line, reader);
      const std::size_t regulator = regulator_column(fields);
      const std::size_t target = target_column(fields);
      if (regulator != kNoColumn && target != kNoColumn) {
        tf_column = regulator;
        gene_column = target;
        continue;
      }
      if (fields.size() > 2 && !is_number(fields[2])) {
        undecided = std::string(line);
        continue;
      }
    } else if (!undecided.empty()) {
      const auto fields = splitter.split(line, reader);
      const bool header = fields.size() > 2 && is_number(fields[2]);
      if (!header) {
        add(splitter.split(undecided, reader));
      }
      undecided.clear();
    }
    add(splitter.split(line, reader));
  }
  if (!undecided.empty()) {
    add(splitter.split(undecided, reader));
  }
  if (network.edges.empty()) {
    throw base::DataError({.what = "network has no edge",
                           .file = reader.file(),
                           .expected = "rows of TF, gene",
                           .got = std::to_string(network.lines) + " rows, " +
                                  std::to_string(network.self_loops) + " of them self-loops",
                           .hint = "give a CSV or TSV with one edge a line"});
  }
  return network;
}

std::vector<std::string> read_tf_list(const std::filesystem::path& file) {
  LineReader reader(file);
  std::vector<std::string> symbols;
  std::unordered_set<std::string> seen;
  FieldSplitter splitter(',');
  std::size_t column = 0;
  bool first = true;
  std::string_view line;
  while (reader.next(line)) {
    const std::string_view content = trim(line);
    if (content.empty() || content.front() == '#') {
      continue;
    }
    if (first) {
      first = false;
      splitter = FieldSplitter(detect_delimiter(content));
      const std::size_t named = symbol_column(splitter.split(content, reader));
      if (named != kNoColumn) {
        column = named;
        continue;
      }
    }
    const auto fields = splitter.split(content, reader);
    if (column >= fields.size() || trim(fields[column]).empty()) {
      reader.fail("TF list has a row without a symbol", "a symbol in column " + std::to_string(column + 1),
                  excerpt(content));
    }
    const std::string_view symbol = trim(fields[column]);
    if (seen.insert(base::symbol_key(symbol)).second) {
      symbols.emplace_back(symbol);
    }
  }
  if (symbols.empty()) {
    throw base::DataError({.what = "TF list is empty",
                           .file = reader.file(),
                           .expected = "one symbol a line, or a CSV with symbols in its first column",
                           .hint = "give the list of transcription factors of your organism"});
  }
  return symbols;
}

}  // namespace mgrn::formats
