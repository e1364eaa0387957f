// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/inspect.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <vector>

#include "multigrnformer/base/json.hpp"

namespace mgrn::prepare {
namespace {

std::string number(double value) {
  std::array<char, 32> text{};
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  std::snprintf(text.data(), text.size(), whole ? "%.0f" : "%.4g", value);
  return text.data();
}

std::string number(const base::Json& value) {
  return value.is_number() ? number(value.get<double>()) : std::string("-");
}

// Lines of two columns, or of a heading.
class TextTable {
 public:
  void heading(const std::string& text) { text_ += text + "\n"; }
  void row(const std::string& name, const std::string& value) {
    constexpr std::size_t kWidth = 44;
    std::string line = "  " + name;
    line.resize(std::max(line.size() + 1, kWidth), ' ');
    text_ += line + value + "\n";
  }
  // A row only where the record has the figure.
  void row(const std::string& name, const base::Json& record, const char* key) {
    if (record.is_object() && record.contains(key)) {
      row(name, number(record.at(key)));
    }
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

base::Json part(const base::Json& record, const char* key) {
  return record.is_object() && record.contains(key) ? record.at(key) : base::Json::object();
}

std::string limit_text(const base::Json& limit) {
  const auto bound = [&limit](const char* key) {
    const base::Json& value = limit.at(key);
    if (!value.is_number()) {
      return std::string(key[0] == 'l' ? "-inf" : "inf");
    }
    const auto finite = value.get<double>();
    return number(limit.at("logged").get<bool>() ? std::pow(10.0, finite) : finite);
  };
  if (!limit.at("applied").get<bool>()) {
    return "not applied: more than half of the cells share one value";
  }
  return "kept " + bound("low") + " to " + bound("high") + ", dropped " + number(limit.at("below")) +
         " below and " + number(limit.at("above")) + " above";
}

base::Json quantiles(std::vector<std::uint64_t> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&values](double share) {
    return values.empty() ? std::uint64_t{0}
                          : values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
  };
  return {{"least", at(0.0)}, {"q25", at(0.25)}, {"median", at(0.5)}, {"q75", at(0.75)}, {"most", at(1.0)}};
}

base::Json coverage(const store::Dataset& dataset, store::Layer layer) {
  std::vector<std::uint64_t> cells;
  std::uint64_t silent = 0;
  for (std::uint32_t gene = 0; gene < dataset.genes(); ++gene) {
    cells.push_back(dataset.nonzeros(layer, gene));
    silent += cells.back() == 0 ? 1 : 0;
  }
  const double places = static_cast<double>(dataset.genes()) * static_cast<double>(dataset.cells());
  return {{"nonzeros", dataset.nonzeros(layer)},
          {"share", places > 0.0 ? static_cast<double>(dataset.nonzeros(layer)) / places : 0.0},
          {"genes_without_entries", silent},
          {"cells_per_gene", quantiles(std::move(cells))}};
}

void coverage_rows(TextTable& table, const std::string& layer, const base::Json& figures) {
  table.row(layer + " entries", number(figures.at("nonzeros")) + " (" +
                                    number(100.0 * figures.at("share").get<double>()) +
                                    " % of genes x cells)");
  const base::Json& cells = figures.at("cells_per_gene");
  table.row(layer + " cells per gene", "median " + number(cells.at("median")) + ", quartiles " +
                                           number(cells.at("q25")) + " and " + number(cells.at("q75")) +
                                           ", at most " + number(cells.at("most")));
  table.row(layer + " genes without entries", figures, "genes_without_entries");
}

}  // namespace

std::string quality_text(const base::Json& quality) {
  TextTable table;
  const base::Json cells = part(quality, "cells");
  table.heading("cells");
  table.row("in the RNA file", cells, "rna");
  table.row("in the ATAC file", cells, "atac");
  table.row("in both", cells, "joined");
  table.row("not on the barcode list", cells, "unlisted");
  table.row("of the barcode list, not in the matrix", cells, "listed_unknown");
  table.row("considered", cells, "candidates");
  table.row("dropped for too few genes", cells, "few_genes");
  table.row("dropped for too few peaks", cells, "few_peaks");
  table.row("dropped by rule " + quality.value("rule", std::string("?")), cells, "by_rule");
  for (const base::Json& limit : part(quality, "limits")) {
    table.row("  " + limit.at("measure").get<std::string>(), limit_text(limit));
  }
  table.row("kept", cells, "kept");
  const base::Json genes = part(quality, "genes");
  table.heading("genes");
  table.row("in the file", genes, "source");
  table.row("dropped for too few cells", genes, "below_share");
  table.row("dropped as repeats of a symbol", genes, "duplicate_symbols");
  table.row("kept", genes, "kept");
  table.row("  mitochondrial", quality, "mitochondrial_genes");
  table.row("  without values in kept cells", genes, "without_values_in_kept_cells");
  table.row("  not in the annotation", genes, "not_in_annotation");
  table.row("  without regulatory potential", genes, "without_rp");
  const base::Json peaks = part(quality, "peaks");
  if (!peaks.empty()) {
    table.heading("peaks");
    table.row("in the file", peaks, "source");
    table.row("on chromosomes of the annotation", peaks, "on_annotated_chromosomes");
    table.row("in blacklist regions", peaks, "blacklisted");
    table.row("dropped for too few cells", peaks, "below_share");
    table.row("kept", peaks, "kept");
    table.row("  in an exon or promoter", peaks, "claimed");
  }
  const base::Json medians = part(quality, "medians");
  table.heading("medians of kept cells");
  table.row("RNA counts", medians, "rna_counts");
  table.row("detected genes", medians, "genes");
  table.row("mitochondrial share", medians, "mitochondrial_share");
  table.row("ATAC counts", medians, "atac_counts");
  table.row("detected peaks", medians, "peaks");
  table.row("blacklist share", medians, "blacklist_share");
  return table.take();
}

base::Json inspect_json(const store::Dataset& dataset) {
  const store::DatasetHeader& header = dataset.header();
  base::Json json = {{"id", header.id},
                     {"genes", dataset.genes()},
                     {"cells", dataset.cells()},
                     {"modalities", header.has_atac ? "rna,atac" : "rna"},
                     {"settings", base::Json::parse(header.settings)},
                     {"sources", base::Json::parse(header.sources)},
                     {"quality", base::Json::parse(header.quality)}};
  json["coverage"]["rna"] = coverage(dataset, store::Layer::rna);
  if (header.has_atac) {
    json["coverage"]["rp"] = coverage(dataset, store::Layer::rp);
  }
  return json;
}

std::string inspect_text(const store::Dataset& dataset) {
  const base::Json json = inspect_json(dataset);
  TextTable table;
  table.heading("dataset " + dataset.header().id + ": " + std::to_string(dataset.cells()) + " cells, " +
                std::to_string(dataset.genes()) + " genes, " +
                (dataset.header().has_atac ? "RNA + ATAC" : "RNA only"));
  for (const auto& [role, source] : json.at("sources").items()) {
    const std::string description = source.value("description", std::string());
    table.row(role,
              source.value("name", std::string("?")) + (description.empty() ? "" : " (" + description + ")"));
  }
  std::string text = table.take() + quality_text(json.at("quality"));
  table.heading("coverage");
  coverage_rows(table, "RNA", json.at("coverage").at("rna"));
  if (dataset.header().has_atac) {
    coverage_rows(table, "RP", json.at("coverage").at("rp"));
  }
  return text + table.take();
}

}  // namespace mgrn::prepare
