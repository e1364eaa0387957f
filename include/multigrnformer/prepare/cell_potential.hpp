// SPDX-License-Identifier: Apache-2.0
// From weights to genes: the regulatory potential of one rank's cells, gene by gene. Not collective.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "multigrnformer/prepare/peak_cells.hpp"
#include "multigrnformer/prepare/regulatory_potential.hpp"
#include "multigrnformer/prepare/row_exchange.hpp"

namespace mgrn::prepare {

class CellPotential {
 public:
  /// Both outlive this: a row of weights per gene, on the peaks of `peaks`.
  CellPotential(const PeakWeights& genes, const PeakCells& peaks);

  /// Genes first .. last-1: a row each with an entry for every kept cell that has a peak of the gene. A
  /// cell's terms are added in the order of the gene's peaks, so its sum is the same whoever has the cell.
  /// What `rows` held is gone, its memory used again.
  void fill(std::uint64_t first, std::uint64_t last, Rows<double>& rows);

 private:
  // The cells of one tile that have one peak of the gene at hand.
  struct Term {
    const std::uint16_t* cell = nullptr;
    const float* value = nullptr;  // null: all 1
    std::uint32_t cells = 0;
    double weight = 0.0;
  };
  void add_gene(std::uint64_t gene, Rows<double>& rows);
  template <typename Place>
  static void add_term(const Term& term, double* sums, const Place& place_of);
  void fetch(std::size_t term) const;
  // Both leave in `cell_` and `value_` as many cells of the tile as they return; `offset`: number of its
  // first.
  std::size_t add_all(std::size_t cells, std::uint32_t offset);
  std::size_t add_few(std::size_t cells, std::uint32_t offset);

  const PeakWeights& genes_;
  const PeakCells& peaks_;
  const bool counts_bits_;  // whether the processor counts a word's bits in one instruction
  std::vector<Term> terms_;
  // Of the tile at hand:
  std::vector<double> sums_;           // per cell, zero between genes
  std::vector<std::uint64_t> marks_;   // a bit per cell, zero between genes
  std::vector<std::uint32_t> before_;  // per word of marks how many bits are set in those before it
  std::vector<std::uint32_t> cell_;    // the result
  std::vector<double> value_;
};

}  // namespace mgrn::prepare
