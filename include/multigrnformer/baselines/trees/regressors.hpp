// SPDX-License-Identifier: Apache-2.0
// The regressors of a forest, prepared once for all targets: each column's stored entries in ascending order
// of value, and for each cell its place in that order. Cells without an entry share one value, the column's
// background, and stay one block: a split search looks at the entries alone and gets the block by
// subtraction, so that a column of an expression matrix with 95 % zeros costs a twentieth of a dense one.
// Nothing is approximated; no split that could be the best is left out.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mgrn::baselines {

/// Values that differ by no more are not split.
constexpr float kSameValue = 1e-7F;

/// One regressor as the dataset has it: entries ascending by cell, all other cells have `background`.
struct RegressorColumn {
  std::span<const std::uint32_t> cell;
  std::span<const float> value;
  float background = 0;
};

/// Immutable after construction; any number of threads may read. Memory: 12 bytes an entry (8 without
/// rows), and 2 bytes (4 where a column has 65,535 entries or more) and one bit for each cell of each column.
class Regressors {
 public:
  /// Copies what it needs. Throws InternalError for a cell out of range and DataError for a value that is not
  /// finite.
  Regressors(std::span<const RegressorColumn> columns, std::uint32_t cells);

  std::uint32_t cells() const { return cells_; }
  std::uint32_t columns() const { return static_cast<std::uint32_t>(sorted_.size()); }

  /// A column's entries that differ from its background, ascending by value, then by cell.
  struct Sorted {
    const std::uint32_t* cell = nullptr;
    const float* value = nullptr;
    std::uint32_t count = 0;
    std::uint32_t below = 0;  ///< of these, smaller than the background
    float background = 0;
    bool apart = false;  ///< every entry is greater than the background, and may be split from it
  };
  const Sorted& sorted(std::uint32_t column) const { return sorted_[column]; }
  /// Entries of a column, on average over the columns.
  std::uint32_t mean_count() const;

  /// A bit for each column, set where the cell has an entry; bit_words() words, a multiple of 4.
  const std::uint64_t* entry_bits(std::uint32_t cell) const {
    return entry_bits_.data() + std::size_t{cell} * bit_words_;
  }
  std::uint32_t bit_words() const { return bit_words_; }

  /// An entry of a cell, with its place as with_places() has it.
  struct RowEntry {
    std::uint16_t column = 0;
    std::uint16_t place = 0;
  };
  /// Whether cells have rows: not where columns or places need more than 16 bits.
  bool has_rows() const { return !row_first_.empty(); }
  /// A cell's entries, ascending by column.
  std::span<const RowEntry> row(std::uint32_t cell) const {
    return std::span(rows_).subspan(row_first_[cell], row_first_[cell + 1] - row_first_[cell]);
  }

  /// Calls work(places), where places[cell * columns() + column] is 1 + the cell's place in sorted(column), 0
  /// for the background: a pointer to 16-bit numbers where they suffice, else to 32-bit ones.
  template <typename Work>
  decltype(auto) with_places(Work&& work) const {
    return wide_.empty() ? work(narrow_.data()) : work(wide_.data());
  }

 private:
  void fill_rows();

  std::uint32_t cells_;
  std::vector<std::uint32_t> cell_;
  std::vector<float> value_;
  std::vector<Sorted> sorted_;
  std::vector<std::uint16_t> narrow_;
  std::vector<std::uint32_t> wide_;
  std::uint32_t bit_words_ = 0;
  std::vector<std::uint64_t> entry_bits_;
  std::vector<std::size_t> row_first_;
  std::vector<RowEntry> rows_;
};

}  // namespace mgrn::baselines
