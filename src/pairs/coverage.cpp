// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/coverage.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "multigrnformer/base/json.hpp"

namespace mgrn::pairs {

Coverage measure_coverage(const Sampler& sampler, std::span<const Edge> pairs) {
  Coverage result;
  result.cells = sampler.options().pair_cells;
  result.pairs = pairs.size();
  result.sample_cells = static_cast<std::uint32_t>(sampler.options().cells);
  if (pairs.empty()) {
    return result;
  }
  std::vector<std::uint32_t> shared;
  shared.reserve(pairs.size());
  for (const Edge& pair : pairs) {
    shared.push_back(sampler.pair_cells(pair.tf, pair.gene));
    result.without_cells += shared.back() == 0 ? 1 : 0;
    result.below_sample += shared.back() > 0 && shared.back() < result.sample_cells ? 1 : 0;
  }
  std::sort(shared.begin(), shared.end());
  const auto quantile = [&](std::size_t percent) {
    const std::size_t rank = (percent * shared.size() + 99) / 100;
    return shared[std::max<std::size_t>(rank, 1) - 1];
  };
  result.minimum = shared.front();
  result.quantile05 = quantile(5);
  result.quantile25 = quantile(25);
  result.median = quantile(50);
  result.quantile75 = quantile(75);
  result.quantile95 = quantile(95);
  result.maximum = shared.back();
  return result;
}

namespace {

struct RuleWords {
  const char* value;  // of pairs.cells
  const char* cells;
  const char* none;
};

RuleWords words_of(PairCells rule) {
  switch (rule) {
    case PairCells::both:
      return {"both", "shared cells", "share none"};
    case PairCells::either:
      return {"either", "cells with either gene", "have none"};
    case PairCells::all:
      return {"all", "cells", "have none"};
  }
  return {"all", "cells", "have none"};
}

}  // namespace

NetworkRow network_row(const std::string& dataset_name, const store::DatasetHeader& dataset,
                       const RestrictedNetwork& network) {
  NetworkRow row;
  row.dataset = dataset_name;
  row.cells = dataset.barcodes.size();
  row.genes_in_dataset = dataset.genes.size();
  row.tfs = network.tfs.size();
  row.genes = network.genes.size();
  row.edges = network.edges.size();
  row.density = network.density();
  row.gene_set = network.candidates.size();
  row.listed_tfs = network.tf_list.size();
  row.tf_list_symbols = network.tf_list_symbols;
  row.matched_symbols = network.matched_symbols;
  row.network_symbols = network.network_symbols;
  row.unknown_edges = network.unknown_edges;
  return row;
}

base::Json to_json(const Coverage& coverage) {
  return {{"pairs", coverage.pairs},
          {"without_cells", coverage.without_cells},
          {"below_sample", coverage.below_sample},
          {"sample_cells", coverage.sample_cells},
          {"cells_drawn_from", words_of(coverage.cells).value},
          {coverage.cells == PairCells::both ? "shared_cells" : "pair_cells",
           {{"minimum", coverage.minimum},
            {"quantile05", coverage.quantile05},
            {"quantile25", coverage.quantile25},
            {"median", coverage.median},
            {"quantile75", coverage.quantile75},
            {"quantile95", coverage.quantile95},
            {"maximum", coverage.maximum}}}};
}

base::Json to_json(const NetworkRow& row) {
  base::Json json = {{"dataset", row.dataset},
                     {"cells", row.cells},
                     {"genes_in_dataset", row.genes_in_dataset},
                     {"tfs", row.tfs},
                     {"genes", row.genes},
                     {"edges", row.edges},
                     {"density", row.density},
                     {"gene_set", row.gene_set},
                     {"listed_tfs", row.listed_tfs},
                     {"tf_list_symbols", row.tf_list_symbols},
                     {"matched_symbols", row.matched_symbols},
                     {"network_symbols", row.network_symbols},
                     {"unknown_edges", row.unknown_edges}};
  if (row.coverage) {
    json["coverage"] = to_json(*row.coverage);
  }
  return json;
}

std::string to_text(const NetworkRow& row) {
  std::string text = fmt::format(
      "dataset {}: {} cells, {} genes\n"
      "network: {} TFs, {} genes, {} edges, density {:.4f}\n"
      "gene set: {} genes; {} of {} listed TFs and {} of the network's {} symbols are in the dataset; "
      "{} edges have an end outside the gene set\n",
      row.dataset, row.cells, row.genes_in_dataset, row.tfs, row.genes, row.edges, row.density, row.gene_set,
      row.listed_tfs, row.tf_list_symbols, row.matched_symbols, row.network_symbols, row.unknown_edges);
  if (row.coverage) {
    const Coverage& c = *row.coverage;
    const RuleWords words = words_of(c.cells);
    text += fmt::format(
        "{} of the {} positive pairs: median {}, 5 to 95 % {} to {}, largest {}; "
        "{} pairs {}, {} fewer than a sample's {}\n",
        words.cells, c.pairs, c.median, c.quantile05, c.quantile95, c.maximum, c.without_cells, words.none,
        c.below_sample, c.sample_cells);
  }
  return text;
}

}  // namespace mgrn::pairs
