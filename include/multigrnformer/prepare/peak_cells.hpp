// SPDX-License-Identifier: Apache-2.0
// One rank's peak matrix turned: per peak the cells that have it. Two bytes an entry, since the kept cells
// are cut into tiles of at most 2^16 consecutive ones; a tile is small enough that a sum for each of its
// cells stays in a core's first cache, unless so few cells have a peak that going from tile to tile would
// cost more.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "multigrnformer/prepare/cell_entries.hpp"

namespace mgrn::prepare {

class PeakCells {
 public:
  /// `entries` has features below `peaks`. `kept_cell`: per cell of `entries` its number among all kept
  /// cells, or -1; consecutive where not -1. `binary`: every count is 1, and none is kept. Not collective.
  PeakCells(const CellEntries& entries, std::span<const std::int64_t> kept_cell, std::uint64_t peaks,
            bool binary);

  std::uint64_t peaks() const { return peaks_; }
  std::uint64_t cells() const { return cells_; }            ///< kept ones of this rank
  std::uint32_t first_cell() const { return first_cell_; }  ///< number of the first among all kept cells
  std::uint64_t tile_cells() const { return tile_cells_; }  ///< in each tile but perhaps the last
  std::uint64_t tiles() const { return base_.size(); }
  bool binary() const { return binary_; }

  /// Cells of a tile, from 0, that have a peak; ascending.
  std::span<const std::uint16_t> cells_of(std::uint64_t tile, std::uint64_t peak) const {
    const std::uint32_t* offsets = offsets_.data() + tile * (peaks_ + 1) + peak;
    return {cell_.get() + base_[tile] + offsets[0], offsets[1] - offsets[0]};
  }
  /// Their counts; empty when binary.
  std::span<const float> values_of(std::uint64_t tile, std::uint64_t peak) const {
    const std::uint32_t* offsets = offsets_.data() + tile * (peaks_ + 1) + peak;
    return binary_ ? std::span<const float>()
                   : std::span<const float>(value_.get() + base_[tile] + offsets[0], offsets[1] - offsets[0]);
  }
  /// Per peak the sum of its counts, each to the nearest whole number, over this rank's kept cells.
  std::vector<std::int64_t> totals() const;

 private:
  void choose_tiles(std::uint64_t entries);
  void turn_tile(std::span<const CellView> cells, std::uint64_t tile, std::vector<std::uint32_t>& next);

  std::uint64_t peaks_;
  bool binary_;
  std::uint64_t cells_ = 0;
  std::uint32_t first_cell_ = 0;
  std::uint64_t tile_cells_ = 0;
  std::uint64_t peaks_at_once_ = 0;
  std::vector<std::uint64_t> base_;     // per tile its first entry
  std::vector<std::uint32_t> offsets_;  // (tile, peak or end), from the tile's first entry
  std::unique_ptr<std::uint16_t[]> cell_;
  std::unique_ptr<float[]> value_;
};

}  // namespace mgrn::prepare
