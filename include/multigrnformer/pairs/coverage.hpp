// SPDX-License-Identifier: Apache-2.0
// What `inspect` tells of a dataset and a network: Table 1's row, and how many cells the pairs' samples are
// drawn from.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "multigrnformer/base/json_fwd.hpp"
#include "multigrnformer/pairs/gene_set.hpp"
#include "multigrnformer/pairs/sampler.hpp"

namespace mgrn::pairs {

/// Cells that a pair's samples are drawn from (PairCells), over the pairs.
struct Coverage {
  PairCells cells = PairCells::both;
  std::uint64_t pairs = 0;
  std::uint64_t without_cells = 0;  ///< pairs that have no sample
  std::uint64_t below_sample = 0;   ///< pairs with 1 .. N-1 cells: their samples hold repeats
  std::uint32_t sample_cells = 0;   ///< N
  // Quantiles by rank, the smallest value that at least that share of the pairs does not exceed.
  std::uint32_t minimum = 0;
  std::uint32_t quantile05 = 0;
  std::uint32_t quantile25 = 0;
  std::uint32_t median = 0;
  std::uint32_t quantile75 = 0;
  std::uint32_t quantile95 = 0;
  std::uint32_t maximum = 0;
};

/// The genes of `pairs` must be loaded in the sampler.
Coverage measure_coverage(const Sampler& sampler, std::span<const Edge> pairs);

/// Table 1's row of one dataset, network and K.
struct NetworkRow {
  std::string dataset;
  std::uint64_t cells = 0;
  std::uint64_t genes_in_dataset = 0;
  std::uint64_t tfs = 0;    ///< N_TF
  std::uint64_t genes = 0;  ///< N_gene
  std::uint64_t edges = 0;  ///< |E|
  double density = 0;
  std::uint64_t gene_set = 0;    ///< genes of TFs+K before the restriction
  std::uint64_t listed_tfs = 0;  ///< TFs of the list that the dataset has
  std::uint64_t tf_list_symbols = 0;
  std::uint64_t matched_symbols = 0;  ///< symbols of the network that the dataset has
  std::uint64_t network_symbols = 0;
  std::uint64_t unknown_edges = 0;
  std::optional<Coverage> coverage;  ///< over the positive pairs
};

NetworkRow network_row(const std::string& dataset_name, const store::DatasetHeader& dataset,
                       const RestrictedNetwork& network);
base::Json to_json(const Coverage& coverage);
base::Json to_json(const NetworkRow& row);
/// Lines for people, with a final newline.
std::string to_text(const NetworkRow& row);

}  // namespace mgrn::pairs
