// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/cell_potential.hpp"

#include <algorithm>
#include <utility>

#if defined(__x86_64__)
#define MGRN_POPCOUNT __attribute__((target("popcnt")))
#else
#define MGRN_POPCOUNT
#endif

namespace mgrn::prepare {
namespace {

// Where fewer than one cell in so many has a term, its place is counted out instead of looked for.
constexpr std::uint64_t kFew = 2;

bool counts_bits() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("popcnt") != 0;
#else
  return true;
#endif
}

}  // namespace

CellPotential::CellPotential(const PeakWeights& genes, const PeakCells& peaks)
    : genes_(genes), peaks_(peaks), counts_bits_(counts_bits()) {
  const std::uint64_t cells = std::min(peaks.cells(), peaks.tile_cells());
  sums_.assign(cells, 0.0);
  marks_.assign((cells + 63) / 64, 0);
  before_.assign(marks_.size(), 0);
  cell_.resize(cells + 1);
  value_.resize(cells + 1);
}

// Adds a term to the sums at its cells' places. A peak names each cell once, so several sums are read before
// the first of them is written, and none waits for another.
template <typename Amount, typename Place>
[[gnu::always_inline]] inline void add_at(const std::uint16_t* cell, std::size_t cells, double* sums,
                                          const Amount& amount, const Place& place) {
  std::size_t i = 0;
  for (; i + 4 <= cells; i += 4) {
    const std::size_t place_0 = place(cell[i]);
    const std::size_t place_1 = place(cell[i + 1]);
    const std::size_t place_2 = place(cell[i + 2]);
    const std::size_t place_3 = place(cell[i + 3]);
    const double sum_0 = sums[place_0] + amount(i);
    const double sum_1 = sums[place_1] + amount(i + 1);
    const double sum_2 = sums[place_2] + amount(i + 2);
    const double sum_3 = sums[place_3] + amount(i + 3);
    sums[place_0] = sum_0;
    sums[place_1] = sum_1;
    sums[place_2] = sum_2;
    sums[place_3] = sum_3;
  }
  for (; i < cells; ++i) {
    sums[place(cell[i])] += amount(i);
  }
}

template <typename Place>
[[gnu::always_inline]] inline void CellPotential::add_term(const Term& term, double* sums,
                                                           const Place& place) {
  const double weight = term.weight;
  if (const float* value = term.value; value != nullptr) {
    add_at(
        term.cell, term.cells, sums, [=](std::size_t i) { return weight * static_cast<double>(value[i]); },
        place);
  } else {
    add_at(
        term.cell, term.cells, sums, [=](std::size_t) { return weight; }, place);
  }
}

// A peak's cells lie anywhere in memory and are few: without being asked for in advance each peak would begin
// with a wait.
void CellPotential::fetch(std::size_t term) const {
  constexpr std::uint32_t kCellsOfLine = 64 / sizeof(std::uint16_t);
  constexpr std::uint32_t kMostLines = 16;  // from there on the processor goes ahead by itself
  if (term < terms_.size()) {
    const std::uint16_t* cell = terms_[term].cell;
    const std::uint32_t cells = std::min(terms_[term].cells, kMostLines * kCellsOfLine);
    for (std::uint32_t i = 0; i < cells; i += kCellsOfLine) {
      __builtin_prefetch(cell + i);
    }
  }
}

// Every cell has its sum, and those that are not zero are taken out: what is not kept is overwritten by the
// next, since whether to keep it no branch predictor knows.
std::size_t CellPotential::add_all(std::size_t cells, std::uint32_t offset) {
  double* sums = sums_.data();
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    fetch(i + 2);
    add_term(terms_[i], sums, [](std::uint32_t cell) -> std::size_t { return cell; });
  }
  std::uint32_t* cell_out = cell_.data();
  double* value_out = value_.data();
  std::size_t count = 0;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    const double sum = std::exchange(sums[cell], 0.0);
    cell_out[count] = static_cast<std::uint32_t>(cell) + offset;
    value_out[count] = sum;
    count += sum > 0.0 ? 1u : 0u;
  }
  return count;
}

// Cells are marked first; the marks before a cell's tell where its sum goes.
MGRN_POPCOUNT std::size_t CellPotential::add_few(std::size_t cells, std::uint32_t offset) {
  std::uint64_t* marks = marks_.data();
  for (const Term& term : terms_) {
    for (std::uint32_t i = 0; i < term.cells; ++i) {
      marks[term.cell[i] / 64] |= std::uint64_t{1} << (term.cell[i] % 64);
    }
  }
  const std::size_t words = (cells + 63) / 64;
  std::uint32_t* before = before_.data();
  std::uint32_t count = 0;
  for (std::size_t word = 0; word < words; ++word) {
    before[word] = count;
    count += static_cast<std::uint32_t>(__builtin_popcountll(marks[word]));
  }
  double* value_out = value_.data();
  std::uint32_t* cell_out = cell_.data();
  std::fill_n(value_out, count, 0.0);
  for (const Term& term : terms_) {
    add_term(term, value_out, [=](std::uint32_t cell) MGRN_POPCOUNT -> std::size_t {
      const std::uint64_t lower = marks[cell / 64] & ((std::uint64_t{1} << (cell % 64)) - 1);
      const std::uint32_t place = before[cell / 64] + static_cast<std::uint32_t>(__builtin_popcountll(lower));
      cell_out[place] = cell + offset;
      return place;
    });
  }
  std::fill_n(marks, words, 0);
  return count;
}

void CellPotential::add_gene(std::uint64_t gene, Rows<double>& rows) {
  for (std::uint64_t tile = 0; tile < peaks_.tiles(); ++tile) {
    const std::uint64_t first = tile * peaks_.tile_cells();
    const std::uint64_t cells = std::min(peaks_.tile_cells(), peaks_.cells() - first);
    terms_.clear();
    std::uint64_t entries = 0;
    for (std::uint64_t i = genes_.offsets[gene]; i < genes_.offsets[gene + 1]; ++i) {
      const auto of_peak = peaks_.cells_of(tile, genes_.peak[i]);
      terms_.push_back({.cell = of_peak.data(),
                        .value = peaks_.binary() ? nullptr : peaks_.values_of(tile, genes_.peak[i]).data(),
                        .cells = static_cast<std::uint32_t>(of_peak.size()),
                        .weight = genes_.weight[i]});
      entries += of_peak.size();
    }
    const std::uint32_t offset = peaks_.first_cell() + static_cast<std::uint32_t>(first);
    const std::size_t count =
        counts_bits_ && entries < cells / kFew ? add_few(cells, offset) : add_all(cells, offset);
    rows.cell.insert(rows.cell.end(), cell_.begin(), cell_.begin() + static_cast<std::ptrdiff_t>(count));
    rows.value.insert(rows.value.end(), value_.begin(), value_.begin() + static_cast<std::ptrdiff_t>(count));
  }
  rows.offsets.push_back(rows.cell.size());
}

void CellPotential::fill(std::uint64_t first, std::uint64_t last, Rows<double>& rows) {
  rows.first = first;
  rows.offsets.assign(1, 0);
  rows.cell.clear();
  rows.value.clear();
  std::uint64_t most = 0;
  for (std::uint64_t gene = first; gene < last; ++gene) {
    std::uint64_t entries = 0;
    for (std::uint64_t i = genes_.offsets[gene]; i < genes_.offsets[gene + 1]; ++i) {
      for (std::uint64_t tile = 0; tile < peaks_.tiles(); ++tile) {
        entries += peaks_.cells_of(tile, genes_.peak[i]).size();
      }
    }
    most += std::min(entries, peaks_.cells());
  }
  rows.cell.reserve(most);
  rows.value.reserve(most);
  for (std::uint64_t gene = first; gene < last; ++gene) {
    add_gene(gene, rows);
  }
}

}  // namespace mgrn::prepare
