// SPDX-License-Identifier: Apache-2.0
// One gene's cells and values, laid out for random access in a block of memory that ranks may share. Where
// samples are drawn from cells that express both genes, values of other cells are not held, the regulatory
// potential there among them; else those of every cell are. A cell's two values lie side by side, in one
// cache line. Internal to the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cell_set.hpp"
#include "multigrnformer/pairs/column_image.hpp"

namespace mgrn::pairs {

/// The largest step that a 16-bit column may have: half of it, the largest error, is below 0.001.
inline constexpr float kLargestStep = 0x1p-9f;

/// 16 bits when `compact` and the values allow it: finite, and within 128 of one another (z-scores are
/// clipped to 20). A function of the values alone.
Coding choose_coding(std::span<const float> values, bool compact);

/// A gene's cells, ascending, and its values: one for each of them, or one for every cell of the dataset.
struct GeneCells {
  std::vector<std::uint32_t> expressed;
  std::vector<float> rna;
  std::vector<float> rp;  ///< empty without ATAC
};

/// A gene's columns as they lie in memory; offsets in bytes from the start of the memory. Plain data: ranks
/// send it.
struct StoredColumns {
  std::uint64_t cells_at = 0;   ///< of the cell set
  std::uint64_t values_at = 0;  ///< of the values: RNA, then RP where there is any, of one cell after another
  std::uint32_t count = 0;      ///< cells with values
  Coding rna, rp;               ///< both 16 bits, or both floats
};

/// Bytes that the columns of a gene with so many cells' values may take at most, alignment included.
std::uint64_t largest_columns(std::uint64_t values, std::uint64_t cells, bool atac);

/// Appends columns to a part of the memory.
class ColumnWriter {
 public:
  /// Writes to memory[first, last); both on a cache line.
  ColumnWriter(std::span<std::byte> memory, std::uint64_t first, std::uint64_t last, std::uint32_t cells,
               bool compact);

  StoredColumns add(const GeneCells& gene);
  std::uint64_t used() const { return next_ - first_; }

 private:
  std::byte* take(std::uint64_t bytes, std::uint64_t& at);

  std::span<std::byte> memory_;
  std::uint64_t first_;
  std::uint64_t next_;
  std::uint64_t last_;
  std::uint32_t cells_;
  bool compact_;
};

/// Columns ready for access.
struct GeneColumns {
  const CellBlock* cells = nullptr;
  const std::byte* values = nullptr;
  std::uint32_t count = 0;
  Coding rna, rp;

  /// Bytes of one cell's values.
  std::size_t value_bytes(bool atac) const { return (atac ? 2 : 1) * std::size_t{rna.width()}; }
};

GeneColumns open_columns(std::span<const std::byte> memory, const StoredColumns& stored);

}  // namespace mgrn::pairs
