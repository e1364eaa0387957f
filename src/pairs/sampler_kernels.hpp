// SPDX-License-Identifier: Apache-2.0
// The inner loops of the sampler, for the instruction sets that processors have: integers and exact
// conversions, so that all of them give the same bits. Internal to the room.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gene_column.hpp"

namespace mgrn::pairs {

/// Finds the block of a cell by its rank: the counts that running_counts() gives, and every 16th and 256th of
/// them, each filled up to whole groups of 16 with a number that no rank reaches.
struct SelectIndex {
  std::vector<std::uint32_t> before;
  std::vector<std::uint32_t> every16;
  std::vector<std::uint32_t> every256;

  /// Room for the counts of so many blocks, in `before`.
  void resize(std::size_t blocks);
  /// After running_counts() has filled `before`.
  void finish(std::size_t blocks);
};

inline constexpr std::size_t kListOverrun = 8;

/// The loops over the cells that two sets give together: those in both, or those in either. Blocks of the two
/// are as many, those of one dataset.
struct CombinedCellsKernels {
  std::uint32_t (*count)(const CellBlock* a, const CellBlock* b, std::size_t blocks);
  /// The same; before[i] becomes the number of cells in earlier blocks.
  std::uint32_t (*running_counts)(const CellBlock* a, const CellBlock* b, std::size_t blocks,
                                  std::uint32_t* before);
  /// The places of all cells, ascending, and up to kListOverrun elements of anything behind them.
  void (*list)(const CellBlock* a, const CellBlock* b, std::size_t blocks, std::uint32_t* places);
  /// places[i]: where the cell with ranks[i] cells below it is. Cheaper than a list for large sets.
  void (*select)(const CellBlock* a, const CellBlock* b, const SelectIndex& index,
                 std::span<const std::uint32_t> ranks, std::uint32_t* places);
};

/// One variant of the loops.
struct SamplerKernels {
  const char* name;
  CombinedCellsKernels both;    ///< cells that are in both sets
  CombinedCellsKernels either;  ///< cells that are in at least one
  /// index[i]: which of a gene's values belong to the cell at places[i], which the set contains.
  void (*rank)(const CellBlock* cells, std::span<const std::uint32_t> places, std::uint32_t* index);
  /// What rank() tells of all cells in both sets, ascending: a_index for a's values, b_index for b's. Both
  /// get up to kListOverrun elements of anything behind them.
  void (*rank_both)(const CellBlock* a, const CellBlock* b, std::size_t blocks, std::uint32_t* a_index,
                    std::uint32_t* b_index);
};

/// The fastest variant for this processor.
const SamplerKernels& sampler_kernels();
/// All variants that this processor can run, the portable one first; for tests.
std::vector<const SamplerKernels*> all_sampler_kernels();

/// Whether N cells are found faster by listing all that there are than by selecting each.
bool listing_is_faster(std::size_t blocks, std::size_t wanted);
/// Whether the values of N cells are found faster by ranking all cells that there are than by listing places
/// and ranking N of them.
bool ranking_all_is_faster(std::size_t blocks, std::size_t wanted);

}  // namespace mgrn::pairs
