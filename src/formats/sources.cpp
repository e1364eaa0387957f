// SPDX-License-Identifier: Apache-2.0
#include "sources.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/formats/number_text.hpp"

namespace mgrn::formats {

void normalise(CellBlock& block) {
  std::vector<std::size_t> order;
  std::vector<std::uint32_t> feature;
  std::vector<float> value;
  std::size_t out = 0;
  for (std::size_t cell = 0; cell + 1 < block.offsets.size(); ++cell) {
    const std::size_t begin = block.offsets[cell];
    const std::size_t end = block.offsets[cell + 1];
    const auto first = block.feature.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = block.feature.begin() + static_cast<std::ptrdiff_t>(end);
    if (!std::is_sorted(first, last)) {
      // Stable, so that repeats are summed in the file's order and the sum has one value.
      order.resize(end - begin);
      std::iota(order.begin(), order.end(), begin);
      std::stable_sort(order.begin(), order.end(), [&block](std::size_t a, std::size_t b) {
        return block.feature[a] < block.feature[b];
      });
      feature.clear();
      value.clear();
      for (const std::size_t from : order) {
        feature.push_back(block.feature[from]);
        value.push_back(block.value[from]);
      }
      std::copy(feature.begin(), feature.end(), first);
      std::copy(value.begin(), value.end(), block.value.begin() + static_cast<std::ptrdiff_t>(begin));
    }
    block.offsets[cell] = out;
    for (std::size_t i = begin; i < end;) {
      const std::uint32_t index = block.feature[i];
      double sum = 0;
      for (; i < end && block.feature[i] == index; ++i) {
        sum += static_cast<double>(block.value[i]);
      }
      if (sum != 0) {
        block.feature[out] = index;
        block.value[out] = static_cast<float>(sum);
        ++out;
      }
    }
  }
  if (!block.offsets.empty()) {
    block.offsets.back() = out;
  }
  block.feature.resize(out);
  block.value.resize(out);
}

CellBlock to_cells(Entries entries, std::uint64_t cells) {
  CellBlock block;
  block.offsets.assign(cells + 1, 0);
  for (const std::uint32_t cell : entries.cell) {
    ++block.offsets[cell + 1];
  }
  std::partial_sum(block.offsets.begin(), block.offsets.end(), block.offsets.begin());
  if (std::is_sorted(entries.cell.begin(), entries.cell.end())) {
    block.feature = std::move(entries.feature);
    block.value = std::move(entries.value);
  } else {
    std::vector<std::uint64_t> next(block.offsets.begin(), block.offsets.end() - 1);
    block.feature.resize(entries.feature.size());
    for (std::size_t i = 0; i < entries.cell.size(); ++i) {
      block.feature[next[entries.cell[i]]++] = entries.feature[i];
    }
    std::vector<std::uint32_t>().swap(entries.feature);
    next.assign(block.offsets.begin(), block.offsets.end() - 1);
    block.value.resize(entries.value.size());
    for (std::size_t i = 0; i < entries.cell.size(); ++i) {
      block.value[next[entries.cell[i]]++] = entries.value[i];
    }
  }
  normalise(block);
  return block;
}

CellBlock slice(const CellBlock& whole, std::uint64_t first, std::uint64_t last) {
  require_range(first, last, whole.cells());
  CellBlock part;
  part.first_cell = first;
  const std::uint64_t begin = whole.offsets[first];
  for (std::uint64_t cell = first; cell <= last; ++cell) {
    part.offsets.push_back(whole.offsets[cell] - begin);
  }
  const auto from = static_cast<std::ptrdiff_t>(begin);
  const auto to = static_cast<std::ptrdiff_t>(whole.offsets[last]);
  part.feature.assign(whole.feature.begin() + from, whole.feature.begin() + to);
  part.value.assign(whole.value.begin() + from, whole.value.begin() + to);
  return part;
}

void require_range(std::uint64_t first, std::uint64_t last, std::uint64_t cells) {
  if (first > last || last > cells) {
    throw base::InternalError({.what = "cells outside the matrix asked for",
                               .expected = "0 <= first <= last <= " + std::to_string(cells),
                               .got = std::to_string(first) + " to " + std::to_string(last)});
  }
}

void require_indexable(std::uint64_t count, const std::string& what, const std::string& file) {
  if (count >= std::numeric_limits<std::uint32_t>::max()) {
    throw base::DataError({.what = "matrix is too large",
                           .file = file,
                           .expected = "fewer than 2^32-1 " + what,
                           .got = std::to_string(count)});
  }
}

void require_finite(float value, const std::string& cell, const std::string& feature,
                    const std::string& place, const std::string& file) {
  if (!std::isfinite(value)) {
    throw base::DataError({.what = "matrix holds a value that is not finite, " + place + " (cell '" + cell +
                                   "', feature '" + feature + "')",
                           .file = file,
                           .expected = "finite numbers",
                           .got = number_text(value),
                           .hint = "remove or impute such values before"});
  }
}

SparseGroup::SparseGroup(const hdf5::Group& group, std::uint64_t major, std::uint64_t minor)
    : file_(group.file()),
      data_(group.dataset("data")),
      indices_(group.dataset("indices")),
      indptr_(group.dataset("indptr").read<std::int64_t>()),
      minor_(minor) {
  const hdf5::Dataset indptr = group.dataset("indptr");
  if (data_.shape().size() != 1 || indices_.shape().size() != 1 || data_.size() != indices_.size()) {
    group.fail("data and indices do not match", "two arrays of one length",
               std::to_string(data_.size()) + " and " + std::to_string(indices_.size()) + " elements");
  }
  entries_ = data_.size();
  if (indptr_.size() != major + 1) {
    indptr.fail("offsets do not match the matrix's shape", std::to_string(major + 1) + " elements",
                std::to_string(indptr_.size()));
  }
  if (indptr_.front() != 0 || indptr_.back() != static_cast<std::int64_t>(entries_)) {
    indptr.fail("offsets do not match the data", "0 to " + std::to_string(entries_),
                std::to_string(indptr_.front()) + " to " + std::to_string(indptr_.back()));
  }
  const auto falls = std::is_sorted_until(indptr_.begin(), indptr_.end());
  if (falls != indptr_.end()) {
    indptr.fail("offsets do not ascend", "each at least the one before",
                std::to_string(*falls) + " after " + std::to_string(*(falls - 1)) + " at position " +
                    std::to_string(falls - indptr_.begin()));
  }
}

CellBlock SparseGroup::read(std::uint64_t first, std::uint64_t last,
                            const std::vector<std::string>& major_names,
                            const std::vector<Feature>* minor_features,
                            const std::vector<std::string>* minor_names) const {
  CellBlock block;
  block.first_cell = first;
  const auto begin = static_cast<std::uint64_t>(indptr_[first]);
  const std::uint64_t count = static_cast<std::uint64_t>(indptr_[last]) - begin;
  for (std::uint64_t row = first; row <= last; ++row) {
    block.offsets.push_back(static_cast<std::uint64_t>(indptr_[row]) - begin);
  }
  block.value = data_.read<float>(begin, count);
  block.feature.resize(count);
  // Indices pass through a small buffer: 64-bit ones would double the memory of a slice.
  constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;
  for (std::uint64_t done = 0; done < count; done += kPiece) {
    const std::vector<std::int64_t> piece =
        indices_.read<std::int64_t>(begin + done, std::min(kPiece, count - done));
    for (std::uint64_t i = 0; i < piece.size(); ++i) {
      if (piece[i] < 0 || static_cast<std::uint64_t>(piece[i]) >= minor_) {
        indices_.fail("index out of range at position " + std::to_string(begin + done + i),
                      "0 to " + std::to_string(minor_ - 1), std::to_string(piece[i]));
      }
      block.feature[done + i] = static_cast<std::uint32_t>(piece[i]);
    }
  }
  for (std::uint64_t row = 0; row < block.cells(); ++row) {
    for (std::uint64_t i = block.offsets[row]; i < block.offsets[row + 1]; ++i) {
      if (!std::isfinite(block.value[i])) {
        const std::string& major_name = major_names[first + row];
        const std::string& minor_name = minor_features != nullptr ? (*minor_features)[block.feature[i]].name
                                                                  : (*minor_names)[block.feature[i]];
        const bool cell_major = minor_features != nullptr;
        require_finite(block.value[i], cell_major ? major_name : minor_name,
                       cell_major ? minor_name : major_name,
                       "position " + std::to_string(begin + i) + " of '" + data_.path() + "'", file_);
      }
    }
  }
  return block;
}

}  // namespace mgrn::formats
