// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/prepare/cell_potential.hpp"
#include "multigrnformer/prepare/peak_cells.hpp"

namespace mgrn::prepare {
namespace {

// Cells with random peaks; every seventh cell is not kept.
struct Sample {
  std::vector<std::vector<Entry>> cells;
  std::vector<std::int64_t> kept_cell;
  std::uint64_t peaks = 0;
  std::int64_t first_kept = 0;
};

Sample draw(std::size_t cells, std::uint64_t peaks, double density, std::int64_t first_kept) {
  Sample sample{.cells = {}, .kept_cell = {}, .peaks = peaks, .first_kept = first_kept};
  base::PhiloxStream random(5, static_cast<std::uint64_t>(cells));
  std::int64_t number = first_kept;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    sample.cells.emplace_back();
    for (std::uint32_t peak = 0; peak < peaks; ++peak) {
      if (random.uniform() < density) {
        sample.cells.back().push_back({peak, static_cast<float>(1 + random.below(4))});
      }
    }
    sample.kept_cell.push_back(cell % 7 == 3 ? -1 : number++);
  }
  return sample;
}

CellEntries entries_of(const Sample& sample, float more = 0.0f) {
  CellEntries entries(sample.cells.size());
  for (std::size_t cell = 0; cell < sample.cells.size(); ++cell) {
    std::vector<Entry> block = sample.cells[cell];
    for (Entry& entry : block) {
      entry.value += more;
    }
    const std::vector<std::size_t> place = {cell};
    const std::vector<std::size_t> ends = {block.size()};
    entries.add_block(block, place, ends);
  }
  return entries;
}

PeakWeights draw_weights(std::uint64_t genes, std::uint64_t peaks, std::uint32_t most) {
  PeakWeights weights;
  base::PhiloxStream random(6, genes);
  for (std::uint64_t gene = 0; gene < genes; ++gene) {
    const std::uint32_t count = gene % 11 == 5 ? 0 : 1 + random.below(most);
    for (std::uint32_t i = 0; i < count; ++i) {
      weights.peak.push_back(random.below(static_cast<std::uint32_t>(peaks)));  // in any order
      weights.weight.push_back(0.01 + random.uniform());
    }
    weights.offsets.push_back(weights.peak.size());
  }
  return weights;
}

using Potential = std::map<std::pair<std::uint64_t, std::uint32_t>, double>;  // by gene and cell

// By cell, term by term in the order of the gene's peaks.
Potential expected(const Sample& sample, const PeakWeights& weights, bool binary, float more) {
  Potential all;
  for (std::size_t cell = 0; cell < sample.cells.size(); ++cell) {
    if (sample.kept_cell[cell] < 0) {
      continue;
    }
    std::map<std::uint32_t, float> value;
    for (const Entry& entry : sample.cells[cell]) {
      value[entry.feature] = entry.value + more;
    }
    for (std::uint64_t gene = 0; gene < weights.rows(); ++gene) {
      for (std::uint64_t i = weights.offsets[gene]; i < weights.offsets[gene + 1]; ++i) {
        if (const auto found = value.find(weights.peak[i]); found != value.end()) {
          all[{gene, static_cast<std::uint32_t>(sample.kept_cell[cell])}] +=
              binary ? weights.weight[i] : weights.weight[i] * static_cast<double>(found->second);
        }
      }
    }
  }
  return all;
}

Potential computed(const PeakCells& peaks, const PeakWeights& weights, std::uint64_t block) {
  CellPotential potential(weights, peaks);
  Potential all;
  Rows<double> rows;
  for (std::uint64_t first = 0; first < weights.rows(); first += block) {
    potential.fill(first, std::min(weights.rows(), first + block), rows);
    for (std::uint64_t row = 0; row < rows.rows(); ++row) {
      const auto cells = rows.cells_of(row);
      EXPECT_TRUE(std::is_sorted(cells.begin(), cells.end()));
      for (std::size_t i = 0; i < cells.size(); ++i) {
        EXPECT_TRUE(all.emplace(std::pair(rows.first + row, cells[i]), rows.values_of(row)[i]).second);
      }
    }
  }
  return all;
}

// Dense and sparse, one tile and several, genes with a term for most cells and for hardly any: the same bits
// as the plain sum.
TEST(CellPotential, IsTheSumOfWeightsBitForBitHoweverItIsAdded) {
  struct Case {
    std::size_t cells;
    std::uint64_t peaks;
    double density;
    std::uint32_t most_peaks;
    bool several_tiles;
  };
  for (const Case& one :
       {Case{300, 90, 0.3, 40, false}, Case{300, 90, 0.005, 6, false}, Case{1, 5, 0.9, 3, false},
        Case{5000, 60, 0.2, 20, true}, Case{3000, 2500, 0.04, 50, true}}) {
    const Sample sample = draw(one.cells, one.peaks, one.density, 1000);
    const PeakWeights weights = draw_weights(40, one.peaks, one.most_peaks);
    for (const float more : {0.0f, 0.5f, 300.0f}) {  // counts, fractions, counts that take more than a byte
      const CellEntries entries = entries_of(sample, more);
      for (const bool binary : {true, false}) {
        const PeakCells peaks(entries, sample.kept_cell, sample.peaks, binary);
        EXPECT_EQ(peaks.tiles() > 1, one.several_tiles) << one.cells;
        const Potential wanted = expected(sample, weights, binary, more);
        EXPECT_EQ(computed(peaks, weights, 40), wanted) << one.cells << ' ' << more << ' ' << binary;
        EXPECT_EQ(computed(peaks, weights, 7), wanted) << one.cells << ' ' << more << ' ' << binary;
      }
    }
  }
}

TEST(PeakCells, TotalsAreOverKeptCellsAndRoundedEntryByEntry) {
  const Sample sample = draw(200, 50, 0.2, 0);
  const CellEntries entries = entries_of(sample, 0.25f);
  std::vector<std::int64_t> cells(50, 0);
  std::vector<std::int64_t> counts(50, 0);
  for (std::size_t cell = 0; cell < sample.cells.size(); ++cell) {
    for (const Entry& entry : sample.cells[cell]) {
      cells[entry.feature] += sample.kept_cell[cell] >= 0 ? 1 : 0;
      counts[entry.feature] += sample.kept_cell[cell] >= 0 ? std::llround(entry.value) : 0;
    }
  }
  EXPECT_EQ(PeakCells(entries, sample.kept_cell, 50, true).totals(), cells);
  EXPECT_EQ(PeakCells(entries, sample.kept_cell, 50, false).totals(), counts);
}

TEST(PeakCells, ARankWithoutKeptCellsHasNone) {
  const Sample sample = draw(10, 20, 0.3, 0);
  const std::vector<std::int64_t> none(10, -1);
  const PeakCells peaks(entries_of(sample), none, 20, true);
  EXPECT_EQ(peaks.tiles(), 0u);
  EXPECT_EQ(peaks.totals(), std::vector<std::int64_t>(20, 0));
  const PeakWeights weights = draw_weights(5, 20, 4);
  Rows<double> rows;
  CellPotential(weights, peaks).fill(0, 5, rows);
  EXPECT_EQ(rows.offsets, std::vector<std::uint64_t>(6, 0));
}

TEST(CellEntries, GivesBackEveryValueWhetherOneByteHoldsItOrNot) {
  CellEntries entries(3);
  const std::vector<std::size_t> places = {2, 0};
  const std::vector<std::size_t> ends = {2, 3};
  entries.add_block(std::vector<Entry>{{1, 255.0f}, {4, 3.0f}, {2, 1.0f}}, places, ends);
  const std::vector<std::size_t> place = {1};
  const std::vector<std::size_t> end = {2};
  entries.add_block(std::vector<Entry>{{0, 256.0f}, {3, 7.0f}}, place, end);
  const auto list = [&entries](std::size_t cell) {
    std::vector<std::pair<std::uint32_t, float>> all;
    for (const Entry entry : entries.cell(cell)) {
      all.emplace_back(entry.feature, entry.value);
    }
    return all;
  };
  using List = std::vector<std::pair<std::uint32_t, float>>;
  EXPECT_EQ(list(2), (List{{1, 255.0f}, {4, 3.0f}}));
  EXPECT_EQ(list(0), (List{{2, 1.0f}}));
  EXPECT_EQ(list(1), (List{{0, 256.0f}, {3, 7.0f}}));
  EXPECT_EQ(entries.values().fractional, 0);
  EXPECT_EQ(entries.values().largest, 256.0f);
}

}  // namespace
}  // namespace mgrn::prepare
