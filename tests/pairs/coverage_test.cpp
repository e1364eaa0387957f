// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/coverage.hpp"
#include "multigrnformer/base/json.hpp"

#include <gtest/gtest.h>

#include "small_networks.hpp"

namespace mgrn::pairs {
namespace {

/// Gene i is expressed in the first i cells, so genes a and b share min(a, b).
Sampler staircase(int cells, PairCells rule = PairCells::both) {
  std::vector<SamplerGene> genes;
  for (std::uint32_t index = 0; index <= 100; ++index) {
    SamplerGene gene;
    gene.index = index;
    gene.symbol = "G" + std::to_string(index);
    for (std::uint32_t cell = 0; cell < index; ++cell) {
      gene.rna.cell.push_back(cell);
      gene.rna.value.push_back(1);
      gene.rna.count.push_back(1);
    }
    genes.push_back(gene);
  }
  return {"id", 100, genes, {.cells = cells, .atac = false, .pair_cells = rule}};
}

TEST(Coverage, CountsSharedCellsOverThePairs) {
  const auto sampler = staircase(30);
  std::vector<Edge> pairs;
  for (std::uint32_t gene = 0; gene < 100; ++gene) {
    pairs.push_back({100, gene});  // share 0, 1, ..., 99 cells
  }
  const Coverage coverage = measure_coverage(sampler, pairs);
  EXPECT_EQ(coverage.pairs, 100u);
  EXPECT_EQ(coverage.without_cells, 1u);
  EXPECT_EQ(coverage.below_sample, 29u);
  EXPECT_EQ(coverage.sample_cells, 30u);
  EXPECT_EQ(coverage.minimum, 0u);
  EXPECT_EQ(coverage.quantile05, 4u);
  EXPECT_EQ(coverage.quantile25, 24u);
  EXPECT_EQ(coverage.median, 49u);
  EXPECT_EQ(coverage.quantile75, 74u);
  EXPECT_EQ(coverage.quantile95, 94u);
  EXPECT_EQ(coverage.maximum, 99u);
  EXPECT_EQ(measure_coverage(sampler, {}).pairs, 0u);
}

TEST(Coverage, CountsTheCellsThatSamplesAreDrawnFromUnderEveryRule) {
  const std::vector<Edge> pairs{{40, 10}, {20, 70}, {0, 0}};
  const Coverage either = measure_coverage(staircase(30, PairCells::either), pairs);
  EXPECT_EQ(either.minimum, 0u);
  EXPECT_EQ(either.median, 40u);
  EXPECT_EQ(either.maximum, 70u);
  EXPECT_EQ(either.without_cells, 1u);
  EXPECT_EQ(to_json(either).at("cells_drawn_from"), "either");
  EXPECT_EQ(to_json(either).at("pair_cells").at("median"), 40);
  const Coverage all = measure_coverage(staircase(30, PairCells::all), pairs);
  EXPECT_EQ(all.minimum, 100u);
  EXPECT_EQ(all.without_cells, 0u);
}

TEST(NetworkRow, TellsTable1sNumbersAsTextAndAsJson) {
  const auto one = test::random_case(20, 80, 200, 3);
  const auto network = one.restricted();
  NetworkRow row = network_row("mouse", one.dataset, network);
  EXPECT_EQ(row.tfs, network.tfs.size());
  EXPECT_EQ(row.genes, network.genes.size());
  EXPECT_EQ(row.edges, 200u);
  EXPECT_DOUBLE_EQ(row.density, 200.0 / static_cast<double>(row.tfs * row.genes));
  EXPECT_FALSE(to_json(row).contains("coverage"));
  row.coverage = measure_coverage(staircase(30), std::vector<Edge>{{5, 9}, {0, 4}});
  const base::Json json = to_json(row);
  EXPECT_EQ(json.at("dataset"), "mouse");
  EXPECT_EQ(json.at("edges"), 200);
  EXPECT_EQ(json.at("coverage").at("without_cells"), 1);
  EXPECT_EQ(json.at("coverage").at("shared_cells").at("maximum"), 5);
  const std::string text = to_text(row);
  EXPECT_NE(text.find("200 edges, density "), std::string::npos) << text;
  EXPECT_NE(text.find("1 pairs share none"), std::string::npos) << text;
}

}  // namespace
}  // namespace mgrn::pairs
