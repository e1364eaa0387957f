// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/predicted_network.hpp"

#include <gtest/gtest.h>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/formats/table.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::evaluate {
namespace {

const std::vector<double> kProbabilities{0.9, 0.7, 0.7, 0.5, 0.2, 0.1};

TEST(CutOff, IsTheLongestListOfTheExpectedPrecision) {
  EXPECT_EQ(cut_at_precision(kProbabilities, 0.9).edges, 1u);
  // Means: 0.9, -, 0.767, 0.7, 0.6, 0.517; equal probabilities stay together.
  EXPECT_EQ(cut_at_precision(kProbabilities, 0.78).edges, 1u);
  EXPECT_EQ(cut_at_precision(kProbabilities, 0.75).edges, 3u);
  EXPECT_NEAR(cut_at_precision(kProbabilities, 0.75).expected_precision, 2.3 / 3, 1e-12);
  EXPECT_EQ(cut_at_precision(kProbabilities, 0.6).edges, 5u);
  EXPECT_EQ(cut_at_precision(kProbabilities, 0.01).edges, 6u);
  EXPECT_EQ(cut_at_precision(kProbabilities, 0.91).edges, 0u);
  EXPECT_EQ(cut_at_precision({}, 0.5).edges, 0u);
}

TEST(CutOff, AtANumberOfEdgesTellsTheirExpectedPrecision) {
  EXPECT_EQ(cut_at_edges(kProbabilities, 4).edges, 4u);
  EXPECT_NEAR(cut_at_edges(kProbabilities, 4).expected_precision, 0.7, 1e-12);
  EXPECT_EQ(cut_at_edges(kProbabilities, 100).edges, 6u);
  EXPECT_EQ(cut_at_edges(kProbabilities, 0).expected_precision, 0);
}

formats::EdgeTable table() {
  // B regulates many, A two, C none above a cut-off of 13.
  formats::EdgeTable table;
  table.genes = {"A", "B", "C"};
  for (int target = 0; target < 11; ++target) {
    table.genes.push_back("g" + std::to_string(target));
    table.edges.push_back({.tf = 1, .gene = static_cast<std::uint32_t>(3 + target), .weight = 0.9});
  }
  table.edges.push_back({.tf = 0, .gene = 1, .weight = 0.8});
  table.edges.push_back({.tf = 0, .gene = 3, .weight = 0.7});
  table.edges.push_back({.tf = 2, .gene = 3, .weight = 0.6});
  return table;
}

TEST(Regulons, CountTargetsAboveTheCutOffAndNameTheBest) {
  const std::vector<double> probabilities(14, 0.25);
  const auto found = regulons(table(), probabilities, {.edges = 13});
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].tf, "B");
  EXPECT_EQ(found[0].targets, 11u);
  EXPECT_DOUBLE_EQ(found[0].probability_sum, 2.75);
  ASSERT_EQ(found[0].top.size(), kTopTargets);
  EXPECT_EQ(found[0].top.front(), "g0");
  EXPECT_EQ(found[1].tf, "A");
  EXPECT_EQ(found[1].top, (std::vector<std::string>{"B", "g0"}));
  EXPECT_EQ(found[2].tf, "C");
  EXPECT_EQ(found[2].targets, 0u);
}

TEST(Regulons, FilesHoldProbabilitiesOnlyWhereThereAreSome) {
  const mgrn::test::TemporaryDirectory folder;
  const std::vector<double> probabilities(14, 0.25);
  const CutOff cut{.edges = 12};
  write_regulons(folder / "r.csv", regulons(table(), probabilities, cut), true);
  const std::string text = base::read_file(folder / "r.csv");
  EXPECT_EQ(text.substr(0, text.find('\n')), "tf,targets,probability_sum,top_targets");
  EXPECT_NE(text.find("\nA,1,0.25,B\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\nC,0,0,\n"), std::string::npos) << text;
  write_selected_edges(folder / "e.csv", table(), probabilities, cut);
  const auto edges = formats::Table::read(folder / "e.csv");
  EXPECT_EQ(edges.names(), (std::vector<std::string>{"tf", "gene", "score", "probability"}));
  EXPECT_EQ(edges.rows(), 12u);
  write_regulons(folder / "r.csv", regulons(table(), {}, cut), false);
  write_selected_edges(folder / "e.csv", table(), {}, cut);
  EXPECT_FALSE(formats::Table::read(folder / "r.csv").has("probability_sum"));
  EXPECT_FALSE(formats::Table::read(folder / "e.csv").has("probability"));
}

}  // namespace
}  // namespace mgrn::evaluate
