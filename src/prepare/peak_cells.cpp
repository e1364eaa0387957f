// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/peak_cells.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mgrn::prepare {
namespace {

constexpr std::uint64_t kLeastTile = 2048;  // 16 KiB of sums
constexpr std::uint64_t kMostTile = std::uint64_t{1} << 16;
// So many cells of a tile should have a peak on average: going to the next peak costs as much as ten of them.
constexpr double kCellsOfPeak = 64.0;
// Peaks turned at once: the line at the end of each one's cells and its counter stay in a second cache.
constexpr std::uint64_t kLeastPeaks = 1024;
// So many peaks of a cell should be turned at once on average.
constexpr double kPeaksOfCell = 64.0;

// A cell's next entries lie far from those of the cell before it: without being asked for in advance each
// cell would begin with a wait.
void fetch(std::span<const CellView> cells, std::span<const std::uint32_t> from, std::size_t cell) {
  constexpr std::size_t kAhead = 2;
  constexpr std::size_t kLines = 4;
  constexpr std::size_t kFeaturesOfLine = 64 / sizeof(std::uint32_t);
  if (cell + kAhead < cells.size()) {
    const std::uint32_t* next = cells[cell + kAhead].features().data() + from[cell + kAhead];
    for (std::size_t line = 0; line < kLines; ++line) {
      __builtin_prefetch(next + line * kFeaturesOfLine);
    }
  }
}

}  // namespace

void PeakCells::choose_tiles(std::uint64_t entries) {
  const double density =
      static_cast<double>(entries) / std::max(1.0, static_cast<double>(cells_) * static_cast<double>(peaks_));
  tile_cells_ = kLeastTile;
  while (tile_cells_ < kMostTile && static_cast<double>(tile_cells_) * density < kCellsOfPeak) {
    tile_cells_ *= 2;
  }
  peaks_at_once_ = kLeastPeaks;
  while (peaks_at_once_ < peaks_ && static_cast<double>(peaks_at_once_) * density < kPeaksOfCell) {
    peaks_at_once_ *= 2;
  }
}

PeakCells::PeakCells(const CellEntries& entries, std::span<const std::int64_t> kept_cell, std::uint64_t peaks,
                     bool binary)
    : peaks_(peaks), binary_(binary) {
  std::vector<CellView> cells;
  std::uint64_t nonzeros = 0;
  for (std::size_t cell = 0; cell < entries.cells(); ++cell) {
    if (kept_cell[cell] >= 0) {
      if (cells.empty()) {
        first_cell_ = static_cast<std::uint32_t>(kept_cell[cell]);
      }
      cells.push_back(entries.cell(cell));
      nonzeros += cells.back().size();
    }
  }
  cells_ = cells.size();
  choose_tiles(nonzeros);
  const std::uint64_t tiles = (cells_ + tile_cells_ - 1) / tile_cells_;
  base_.reserve(tiles);
  offsets_.resize(tiles * (peaks_ + 1));
  // Not filled here: that would be one more way through memory.
  cell_.reset(new std::uint16_t[nonzeros]);
  value_.reset(new float[binary_ ? 0 : nonzeros]);
  std::uint64_t base = 0;
  std::vector<std::uint32_t> next(std::min(peaks_at_once_, peaks_));
  for (std::uint64_t tile = 0; tile < tiles; ++tile) {
    const std::uint64_t first = tile * tile_cells_;
    const auto of_tile =
        std::span<const CellView>(cells).subspan(first, std::min(tile_cells_, cells_ - first));
    base_.push_back(base);
    turn_tile(of_tile, tile, next);
    base += offsets_[(tile + 1) * (peaks_ + 1) - 1];
  }
}

// Some peaks at a time, counted and then placed: counters, the places of these peaks' cells, and the entries,
// which are read twice, stay in the cache.
void PeakCells::turn_tile(std::span<const CellView> cells, std::uint64_t tile,
                          std::vector<std::uint32_t>& next) {
  std::uint32_t* offsets = offsets_.data() + tile * (peaks_ + 1);
  std::uint32_t* next_place = next.data();
  std::uint16_t* cell_out = cell_.get() + base_[tile];
  float* value_out = binary_ ? nullptr : value_.get() + base_[tile];
  std::uint32_t placed = 0;
  std::vector<std::uint32_t> from(cells.size(), 0);
  std::vector<std::uint32_t> to(cells.size(), 0);
  for (std::uint64_t first = 0; first < peaks_; first += peaks_at_once_) {
    const std::uint64_t last = std::min(peaks_, first + peaks_at_once_);
    const std::uint32_t begin = placed;
    std::fill(next.begin(), next.end(), 0);
    for (std::size_t cell = 0; cell < cells.size(); ++cell) {
      fetch(cells, from, cell);
      const std::span<const std::uint32_t> features = cells[cell].features();
      std::size_t i = from[cell];
      for (; i < features.size() && features[i] < last; ++i) {
        ++next_place[features[i] - first];
      }
      to[cell] = static_cast<std::uint32_t>(i);
    }
    for (std::uint64_t peak = first; peak < last; ++peak) {
      offsets[peak] = placed;
      placed += std::exchange(next[peak - first], placed);
    }
    // Brings these places into the cache in one sweep, which what follows would do line by line.
    std::fill(cell_out + begin, cell_out + placed, std::uint16_t{0});
    for (std::size_t cell = 0; cell < cells.size(); ++cell) {
      fetch(cells, from, cell);
      const std::uint32_t* features = cells[cell].features().data();
      const std::uint32_t end = to[cell];
      if (value_out == nullptr) {
        for (std::uint32_t i = from[cell]; i < end; ++i) {
          cell_out[next_place[features[i] - first]++] = static_cast<std::uint16_t>(cell);
        }
      } else {
        for (std::uint32_t i = from[cell]; i < end; ++i) {
          const std::uint32_t place = next_place[features[i] - first]++;
          cell_out[place] = static_cast<std::uint16_t>(cell);
          value_out[place] = cells[cell].value(i);
        }
      }
    }
    std::swap(from, to);
  }
  offsets[peaks_] = placed;
}

std::vector<std::int64_t> PeakCells::totals() const {
  std::vector<std::int64_t> totals(peaks_, 0);
  for (std::uint64_t tile = 0; tile < tiles(); ++tile) {
    for (std::uint64_t peak = 0; peak < peaks_; ++peak) {
      if (binary_) {
        totals[peak] += static_cast<std::int64_t>(cells_of(tile, peak).size());
      } else {
        for (const float value : values_of(tile, peak)) {
          totals[peak] += std::llround(value);
        }
      }
    }
  }
  return totals;
}

}  // namespace mgrn::prepare
