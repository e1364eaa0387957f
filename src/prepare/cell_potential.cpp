// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/cell_potential.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace mgrn::prepare {

CellPotential::CellPotential(const PeakWeights& genes, const CellEntries& atac, std::uint64_t peaks,
                             std::span<const std::int64_t> kept_cell, bool binary)
    : genes_(genes), row_of_peak_(peaks, -1), binary_(binary) {
  for (const std::uint32_t peak : genes_.peak) {
    row_of_peak_[peak] = 0;
  }
  std::uint64_t used = 0;
  for (std::int64_t& row : row_of_peak_) {
    row = row < 0 ? -1 : static_cast<std::int64_t>(used++);
  }
  peaks_ = transpose(atac, kept_cell, row_of_peak_, used, !binary);
  std::size_t own_cells = 0;
  for (const std::int64_t number : kept_cell) {
    if (number >= 0 && own_cells++ == 0) {
      first_kept_ = static_cast<std::uint32_t>(number);
    }
  }
  sums_.assign(own_cells, 0.0);
  touched_.resize(own_cells + 1);
  marks_.assign((own_cells + 63) / 64, 0);
}

void CellPotential::sort_touched(std::size_t count) {
  const std::span<std::uint32_t> touched = std::span(touched_).first(count);
  if (count < marks_.size() / 8) {
    std::sort(touched.begin(), touched.end());
    return;
  }
  // Where cells are many, marking each and looking through the marks is several times faster than sorting.
  for (const std::uint32_t local : touched) {
    marks_[local / 64] |= std::uint64_t{1} << (local % 64);
  }
  std::uint32_t* next = touched.data();
  for (std::size_t word = 0; word < marks_.size(); ++word) {
    for (std::uint64_t bits = std::exchange(marks_[word], 0); bits != 0; bits &= bits - 1) {
      *next++ = static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(std::countr_zero(bits));
    }
  }
}

Rows<double> CellPotential::rows(std::uint64_t first, std::uint64_t last) {
  Rows<double> mine;
  mine.first = first;
  std::uint64_t most = 0;
  for (std::uint64_t gene = first; gene < last; ++gene) {
    std::uint64_t entries = 0;
    for (std::uint64_t i = genes_.offsets[gene]; i < genes_.offsets[gene + 1]; ++i) {
      entries += peaks_.cells_of(static_cast<std::uint64_t>(row_of_peak_[genes_.peak[i]])).size();
    }
    most += std::min<std::uint64_t>(entries, sums_.size());
  }
  mine.cell.reserve(most);
  mine.value.reserve(most);
  for (std::uint64_t gene = first; gene < last; ++gene) {
    std::size_t count = 0;
    for (std::uint64_t i = genes_.offsets[gene]; i < genes_.offsets[gene + 1]; ++i) {
      const auto row = static_cast<std::uint64_t>(row_of_peak_[genes_.peak[i]]);
      const std::span<const std::uint32_t> cells = peaks_.cells_of(row);
      for (std::size_t c = 0; c < cells.size(); ++c) {
        const std::uint32_t local = cells[c] - first_kept_;
        // Written always, kept when the cell is new: whether it is, no branch predictor knows.
        touched_[count] = local;
        count += sums_[local] == 0.0 ? 1u : 0u;
        const double value = binary_ ? 1.0 : static_cast<double>(peaks_.value[peaks_.offsets[row] + c]);
        sums_[local] += genes_.weight[i] * value;
      }
    }
    sort_touched(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t local = touched_[i];
      mine.cell.push_back(local + first_kept_);
      mine.value.push_back(std::exchange(sums_[local], 0.0));
    }
    mine.offsets.push_back(mine.cell.size());
  }
  return mine;
}

}  // namespace mgrn::prepare
