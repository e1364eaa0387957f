// SPDX-License-Identifier: Apache-2.0
// From weights to genes: the regulatory potential of one rank's cells, gene by gene. Not collective.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "multigrnformer/prepare/cell_entries.hpp"
#include "multigrnformer/prepare/regulatory_potential.hpp"
#include "multigrnformer/prepare/row_exchange.hpp"

namespace mgrn::prepare {

class CellPotential {
 public:
  /// `genes` outlives this, `atac` does not need to: a row of weights per gene, on features of `atac`, of
  /// which there are `peaks`. `kept_cell`: per cell of `atac` its number among all kept cells, or -1;
  /// consecutive where not -1. `binary`: every count is 1.
  CellPotential(const PeakWeights& genes, const CellEntries& atac, std::uint64_t peaks,
                std::span<const std::int64_t> kept_cell, bool binary);

  /// Genes first .. last-1: a row each with an entry for every kept cell that has a peak of the gene. A
  /// cell's terms are added in the order of the gene's peaks, so its sum is the same whoever has the cell.
  Rows<double> rows(std::uint64_t first, std::uint64_t last);

 private:
  void sort_touched(std::size_t count);

  const PeakWeights& genes_;
  std::vector<std::int64_t> row_of_peak_;  // -1: weighs for no gene
  FeatureRows peaks_;                      // those that weigh
  bool binary_;
  std::uint32_t first_kept_ = 0;
  std::vector<double> sums_;            // per kept cell, zero between genes
  std::vector<std::uint32_t> touched_;  // cells of the gene at hand, and room for one more
  std::vector<std::uint64_t> marks_;    // a bit per kept cell, zero between genes
};

}  // namespace mgrn::prepare
