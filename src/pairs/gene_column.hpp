// SPDX-License-Identifier: Apache-2.0
// One gene's cells and values, laid out for random access in a block of memory that ranks may share: the
// value of a cell is the rank-th of the stored ones, or, where that is smaller, simply the cell-th. Internal
// to the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cell_set.hpp"
#include "multigrnformer/pairs/sampler.hpp"

namespace mgrn::pairs {

/// How a column's values are stored. 16 bits: value = (number + zero) * step, where step is a power of two,
/// so that decoding rounds nowhere and gives the same bits with any instruction set.
struct Coding {
  float step = 0;  ///< 0: 32-bit floats as they are
  std::int32_t zero = 0;

  bool exact() const { return step == 0; }
  std::uint32_t width() const { return exact() ? sizeof(float) : sizeof(std::uint16_t); }
};

/// The largest step that a 16-bit column may have: half of it, the largest error, is below 0.001.
inline constexpr float kLargestStep = 0x1p-9f;

/// 16 bits when `compact` and the values allow it: finite, and within 128 of one another (z-scores are
/// clipped to 20). A function of the values alone. `background` counts as one of them.
Coding choose_coding(std::span<const float> values, float background, bool compact);

/// A column as it lies in memory; offsets in bytes from the start of the memory. Plain data: ranks send it.
struct StoredColumn {
  std::uint64_t cells_at = 0;  ///< of the cell set
  std::uint64_t values_at = 0;
  std::uint32_t count = 0;  ///< stored entries; the value at `count` is the background
  Coding coding;
  std::uint32_t dense = 0;  ///< 1: a value per cell, no cell set
};

/// Bytes that a column of `entries` stored values may take at most, alignment included.
std::uint64_t largest_column(std::uint64_t entries, std::uint64_t cells);

/// Appends columns to a part of the memory.
class ColumnWriter {
 public:
  /// Writes to memory[first, last); both on a cache line.
  ColumnWriter(std::span<std::byte> memory, std::uint64_t first, std::uint64_t last, std::uint32_t cells,
               bool compact);

  /// A cell set with a value for each member. `may_be_dense`: values of all cells are asked for, and a plain
  /// array of them is taken where it is smaller.
  StoredColumn add(std::span<const std::uint32_t> cells_ascending, std::span<const float> values,
                   float background, bool may_be_dense);
  std::uint64_t used() const { return next_ - first_; }

 private:
  std::byte* take(std::uint64_t bytes, std::uint64_t& at);
  void encode(const Coding& coding, std::byte* to, std::size_t index, float value) const;

  std::span<std::byte> memory_;
  std::uint64_t first_;
  std::uint64_t next_;
  std::uint64_t last_;
  std::uint32_t cells_;
  bool compact_;
};

/// A column ready for access.
struct Column {
  const CellBlock* cells = nullptr;  ///< null: dense, or (with null values) all zero
  const std::byte* values = nullptr;
  std::uint32_t count = 0;
  Coding coding;
};

Column open_column(std::span<const std::byte> memory, const StoredColumn& stored);

/// RNA only where it is expressed (samples are drawn from nowhere else), RP everywhere.
struct GeneColumns {
  Column rna;
  Column rp;
};

}  // namespace mgrn::pairs
