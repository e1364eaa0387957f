// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/baselines/trees/regressors.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "multigrnformer/base/error.hpp"

namespace mgrn::baselines {

Regressors::Regressors(std::span<const RegressorColumn> columns, std::uint32_t cells) : cells_(cells) {
  std::size_t entries = 0;
  for (const auto& column : columns) {
    entries += column.cell.size();
  }
  cell_.reserve(entries);
  value_.reserve(entries);
  std::vector<std::size_t> first;
  std::vector<std::uint32_t> order;
  for (const auto& column : columns) {
    first.push_back(cell_.size());
    order.clear();
    for (std::size_t i = 0; i < column.cell.size(); ++i) {
      if (column.cell[i] >= cells) {
        throw base::InternalError({.what = "a regressor names a cell beyond the last",
                                   .expected = "below " + std::to_string(cells),
                                   .got = std::to_string(column.cell[i]),
                                   .hint = "report this as a defect"});
      }
      if (!std::isfinite(column.value[i])) {
        throw base::DataError({.what = "a regressor's value is not finite",
                               .expected = "a number",
                               .got = std::to_string(column.value[i]),
                               .hint = "prepare the dataset again"});
      }
      if (column.value[i] != column.background) {
        order.push_back(static_cast<std::uint32_t>(i));
      }
    }
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return column.value[a] != column.value[b] ? column.value[a] < column.value[b]
                                                : column.cell[a] < column.cell[b];
    });
    Sorted sorted{.count = static_cast<std::uint32_t>(order.size()), .background = column.background};
    for (const auto i : order) {
      cell_.push_back(column.cell[i]);
      value_.push_back(column.value[i]);
      sorted.below += column.value[i] < column.background ? 1 : 0;
    }
    sorted_.push_back(sorted);
  }
  std::uint32_t most = 0;
  for (std::size_t column = 0; column < sorted_.size(); ++column) {
    sorted_[column].cell = cell_.data() + first[column];
    sorted_[column].value = value_.data() + first[column];
    most = std::max(most, sorted_[column].count);
    sorted_[column].apart = sorted_[column].count > 0 && sorted_[column].below == 0 &&
                            sorted_[column].value[0] > sorted_[column].background + kSameValue;
  }
  constexpr std::size_t kNarrow = std::numeric_limits<std::uint16_t>::max();
  const auto fill = [&](auto& places) {
    places.assign(std::size_t{cells_} * sorted_.size(), 0);
    for (std::size_t column = 0; column < sorted_.size(); ++column) {
      for (std::uint32_t i = 0; i < sorted_[column].count; ++i) {
        places[std::size_t{sorted_[column].cell[i]} * sorted_.size() + column] =
            static_cast<typename std::remove_reference_t<decltype(places)>::value_type>(i + 1);
      }
    }
  };
  if (most < kNarrow) {
    fill(narrow_);
  } else {
    fill(wide_);
  }
  if (most < kNarrow && sorted_.size() < kNarrow) {
    fill_rows();
  }
  bit_words_ = static_cast<std::uint32_t>((sorted_.size() + 255) / 256 * 4);
  entry_bits_.assign(std::size_t{cells_} * bit_words_, 0);
  for (std::size_t column = 0; column < sorted_.size(); ++column) {
    for (std::uint32_t i = 0; i < sorted_[column].count; ++i) {
      entry_bits_[std::size_t{sorted_[column].cell[i]} * bit_words_ + column / 64] |= std::uint64_t{1}
                                                                                      << (column % 64);
    }
  }
}

void Regressors::fill_rows() {
  row_first_.assign(std::size_t{cells_} + 1, 0);
  for (const auto cell : cell_) {
    ++row_first_[cell + 1];
  }
  std::partial_sum(row_first_.begin(), row_first_.end(), row_first_.begin());
  rows_.resize(cell_.size());
  std::vector<std::size_t> next(row_first_.begin(), row_first_.end() - 1);
  for (std::size_t column = 0; column < sorted_.size(); ++column) {
    for (std::uint32_t i = 0; i < sorted_[column].count; ++i) {
      rows_[next[sorted_[column].cell[i]]++] = {.column = static_cast<std::uint16_t>(column),
                                                .place = static_cast<std::uint16_t>(i + 1)};
    }
  }
}

std::uint32_t Regressors::mean_count() const {
  return sorted_.empty() ? 0 : static_cast<std::uint32_t>(cell_.size() / sorted_.size());
}

}  // namespace mgrn::baselines
