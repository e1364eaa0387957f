// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/cell_potential.hpp"

#include <algorithm>
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
}

Rows<double> CellPotential::rows(std::uint64_t first, std::uint64_t last) {
  Rows<double> mine;
  mine.first = first;
  for (std::uint64_t gene = first; gene < last; ++gene) {
    touched_.clear();
    for (std::uint64_t i = genes_.offsets[gene]; i < genes_.offsets[gene + 1]; ++i) {
      const auto row = static_cast<std::uint64_t>(row_of_peak_[genes_.peak[i]]);
      const std::span<const std::uint32_t> cells = peaks_.cells_of(row);
      for (std::size_t c = 0; c < cells.size(); ++c) {
        const std::uint32_t local = cells[c] - first_kept_;
        if (sums_[local] == 0.0) {
          touched_.push_back(local);
        }
        const double count = binary_ ? 1.0 : static_cast<double>(peaks_.value[peaks_.offsets[row] + c]);
        sums_[local] += genes_.weight[i] * count;
      }
    }
    std::sort(touched_.begin(), touched_.end());
    for (const std::uint32_t local : touched_) {
      mine.cell.push_back(local + first_kept_);
      mine.value.push_back(std::exchange(sums_[local], 0.0));
    }
    mine.offsets.push_back(mine.cell.size());
  }
  return mine;
}

}  // namespace mgrn::prepare
