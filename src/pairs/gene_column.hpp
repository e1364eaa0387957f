// SPDX-License-Identifier: Apache-2.0
// One gene's cells and values, laid out for random access: a bitset with cumulative counts, so that the value
// of cell j is the rank(j)-th of the stored ones. Internal to the room.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mgrn::pairs {

/// A set of cells with rank in constant time: 64-bit words in blocks of eight, the count before each block
/// and, within it, before each word.
class CellSet {
 public:
  CellSet() = default;
  CellSet(std::span<const std::uint32_t> ascending, std::uint32_t cells);

  std::span<const std::uint64_t> words() const { return words_; }
  std::uint32_t count() const { return count_; }
  __attribute__((always_inline)) bool contains(std::uint32_t cell) const {
    return ((words_[cell >> 6] >> (cell & 63)) & 1) != 0;
  }
  /// Members below `cell`.
  __attribute__((always_inline)) std::uint32_t rank(std::uint32_t cell) const {
    const std::uint64_t below = words_[cell >> 6] & ((std::uint64_t{1} << (cell & 63)) - 1);
    return before_block_[cell >> 9] + before_word_[cell >> 6] +
           static_cast<std::uint32_t>(__builtin_popcountll(below));
  }
  std::uint64_t bytes() const;

 private:
  std::vector<std::uint64_t> words_;  // a whole number of blocks
  std::vector<std::uint32_t> before_block_;
  std::vector<std::uint16_t> before_word_;  // within the block
  std::uint32_t count_ = 0;
};

/// Values of all cells, most of which may share one background value: dense, or the stored ones behind a cell
/// set, whichever is smaller.
class ValueColumn {
 public:
  ValueColumn() = default;
  ValueColumn(std::span<const std::uint32_t> cells_ascending, std::span<const float> values, float background,
              std::uint32_t cells);

  __attribute__((always_inline)) float at(std::uint32_t cell) const {
    if (dense_) {
      return values_[cell];
    }
    return stored_.contains(cell) ? values_[stored_.rank(cell)] : background_;
  }
  bool dense() const { return dense_; }
  std::uint64_t bytes() const;

 private:
  bool dense_ = false;
  float background_ = 0;
  CellSet stored_;
  std::vector<float> values_;
};

/// RNA only where it is expressed (samples are drawn from nowhere else), RP everywhere.
struct GeneColumn {
  CellSet expressed;
  std::vector<float> rna;  ///< by rank in `expressed`
  ValueColumn rp;
};

}  // namespace mgrn::pairs
