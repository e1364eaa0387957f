// SPDX-License-Identifier: Apache-2.0
// The traps of BEELINE's formats and scores, one test each: what its files, its two versions and its paper do
// that a reader of the method section would not expect.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "evaluate/edge_tables.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/evaluate/beeline.hpp"
#include "support/temporary_directory.hpp"

namespace {

using namespace mgrn::evaluate;
using mgrn::formats::NamedEdge;
using mgrn::test::table_of;

const std::vector<NamedEdge> kReference = {{"A", "B"}, {"A", "C"}, {"B", "C"}};

TEST(BeelineTraps, AnEdgeThatTheNetworkHoldsTwiceCountsOnce) {
  std::vector<NamedEdge> twice = kReference;
  twice.insert(twice.end(), kReference.begin(), kReference.end());  // as the STRING files have it
  const auto ranked = table_of({{"A", "B", 3}, {"B", "A", 2}, {"A", "C", 1}});
  const auto once = evaluate_beeline(ranked, kReference);
  const auto result = evaluate_beeline(ranked, twice);
  EXPECT_EQ(result.true_edges, 3u);
  EXPECT_EQ(result.random_auprc, 0.5);
  EXPECT_EQ(result.auprc_ratio, once.auprc_ratio);
  EXPECT_EQ(result.early_precision, once.early_precision);
}

TEST(BeelineTraps, NetworksInUpperCaseMatchMouseSymbols) {
  const std::vector<NamedEdge> upper = {{"SOX2", "NANOG"}, {"SOX2", "KLF4"}};
  const auto result = evaluate_beeline(table_of({{"Sox2", "Nanog", 1.0}, {"Nanog", "Klf4", 2.0}}), upper);
  EXPECT_EQ(result.predicted, 2u);
  EXPECT_EQ(result.predicted_true, 1u);
}

TEST(BeelineTraps, RankedEdgesAreSeparatedByTabsInSpiteOfTheirName) {
  const mgrn::test::TemporaryDirectory folder;
  std::ofstream(folder / "rankedEdges.csv") << "Gene1\tGene2\tEdgeWeight\nA,1\tB\t0.5\nB\tA,1\t0.25\n";
  const auto list = read_ranked_list(folder / "rankedEdges.csv");
  ASSERT_EQ(list.edges.size(), 2u);
  EXPECT_EQ(list.genes[0], "A,1");  // a comma is part of the name
}

TEST(BeelineTraps, SelfEdgesCountOnNeitherSideButTheirGenesBelongToTheUniverse) {
  std::vector<NamedEdge> with_self = kReference;
  with_self.push_back({"D", "D"});
  const auto result = evaluate_beeline(table_of({{"A", "A", 9}, {"A", "B", 1}}), with_self);
  EXPECT_EQ(result.genes, 4u);
  EXPECT_EQ(result.universe, 12u);
  EXPECT_EQ(result.true_edges, 3u);
  EXPECT_EQ(result.self_edges, 1u);
  EXPECT_EQ(result.early_kept, 1u);
  EXPECT_EQ(result.early_precision, 1.0);
}

TEST(BeelineTraps, TheSignOfAWeightIsNotItsSize) {
  const auto result = evaluate_beeline(table_of({{"B", "A", 0.5}, {"A", "B", -2}, {"A", "C", -1}}),
                                       kReference, {.early_tf_only = false});
  const auto positive = evaluate_beeline(table_of({{"B", "A", 0.5}, {"A", "B", 2}, {"A", "C", 1}}),
                                         kReference, {.early_tf_only = false});
  EXPECT_EQ(result.auroc, positive.auroc);
  EXPECT_EQ(result.early_precision, 2.0 / 3.0);
}

TEST(BeelineTraps, OfAPairThatIsListedTwiceTheLargestWeightCounts) {
  const auto result = evaluate_beeline(
      table_of({{"A", "B", 0.1}, {"B", "A", 1.0}, {"A", "B", -2.0}, {"a", "b", 0.3}}), kReference);
  EXPECT_EQ(result.duplicates, 2u);
  EXPECT_EQ(result.predicted, 2u);
  const auto once = evaluate_beeline(table_of({{"A", "B", 2.0}, {"B", "A", 1.0}}), kReference);
  EXPECT_EQ(result.average_precision, once.average_precision);
}

TEST(BeelineTraps, PairsOutsideTheNetworkAreNoFalsePositives) {
  const auto with_outside =
      evaluate_beeline(table_of({{"X", "B", 9}, {"A", "Y", 8}, {"A", "B", 1}}), kReference);
  const auto without = evaluate_beeline(table_of({{"A", "B", 1}}), kReference);
  EXPECT_EQ(with_outside.outside, 2u);
  EXPECT_EQ(with_outside.auroc, without.auroc);
  EXPECT_EQ(with_outside.auprc, without.auprc);
  EXPECT_EQ(with_outside.early_precision, without.early_precision);
}

TEST(BeelineTraps, TheOrderOfAListDoesNotMatter) {
  const auto sorted = evaluate_beeline(table_of({{"A", "B", 3}, {"C", "A", 2}, {"B", "C", 1}}), kReference);
  const auto mixed = evaluate_beeline(table_of({{"B", "C", 1}, {"A", "B", 3}, {"C", "A", 2}}), kReference);
  EXPECT_EQ(sorted.auroc, mixed.auroc);
  EXPECT_EQ(sorted.early_precision, mixed.early_precision);
}

TEST(BeelineTraps, TiedPairsEnterTogether) {
  // One true edge among two of equal weight, two true ones among the four not predicted.
  const auto result = evaluate_beeline(table_of({{"A", "B", 1}, {"B", "A", 1}}), kReference);
  EXPECT_EQ(result.auroc, 0.5);
  EXPECT_EQ(result.average_precision, 0.5);
}

TEST(BeelineTraps, TheTrapezoidFlattersSparseLists) {
  // A single hit at the top: the straight line from (1/3, 1) to (1, 1/2) is no curve that a tool reaches.
  const auto result = evaluate_beeline(table_of({{"A", "B", 1}}), kReference);
  EXPECT_NEAR(result.average_precision, 1.0 / 3 + 2.0 / 3 * 0.5, 1e-15);
  EXPECT_NEAR(result.auprc, 1.0 / 3 + 2.0 / 3 * 0.75, 1e-15);
  // Davis and Goadrich: (2/3, 2 / (2 + 1.5)) lies between.
  EXPECT_NEAR(result.auprc_davis_goadrich, 1.0 / 3 * (1 + (1 + 4.0 / 7) / 2 + (4.0 / 7 + 0.5) / 2), 1e-15);
}

TEST(BeelineTraps, EarlyPrecisionsUniverseIsRegulatorsByDefault) {
  // C is no regulator of the network, so C -> A is not among its pairs, nor does it push others out.
  const auto ranked = table_of({{"C", "A", 9}, {"A", "B", 2}, {"A", "C", 1}, {"B", "C", 0.5}});
  const auto tf_only = evaluate_beeline(ranked, kReference);
  EXPECT_TRUE(tf_only.early_tf_only);
  EXPECT_EQ(tf_only.early_universe, 4u);  // A, B x two others each
  EXPECT_EQ(tf_only.early_precision, 1.0);
  EXPECT_NEAR(tf_only.early_precision_ratio, 1.0 / (3.0 / 4), 1e-15);
  const auto all = evaluate_beeline(ranked, kReference, {.early_tf_only = false});
  EXPECT_EQ(all.early_universe, 6u);
  EXPECT_EQ(all.early_precision, 2.0 / 3);
}

TEST(BeelineTraps, EarlyPrecisionKeepsAllTiesOfTheLastAndDividesByWhatItKeeps) {
  const std::vector<NamedEdge> one = {{"A", "B"}, {"C", "C"}, {"D", "D"}};
  const auto result =
      evaluate_beeline(table_of({{"A", "B", 1}, {"A", "C", 1}, {"A", "D", 1}, {"C", "A", 0.5}}), one);
  EXPECT_EQ(result.early_true_edges, 1u);
  EXPECT_EQ(result.early_kept, 3u);
  EXPECT_EQ(result.early_precision, 1.0 / 3);
}

TEST(BeelineTraps, EarlyPrecisionKeepsNoPredictionOfWeightZero) {
  const auto result =
      evaluate_beeline(table_of({{"A", "B", 1}, {"A", "C", 0}, {"B", "A", 0}, {"B", "C", 0}}), kReference);
  EXPECT_EQ(result.early_kept, 1u);
  EXPECT_EQ(result.early_precision, 1.0);
}

TEST(BeelineTraps, FewerPredictionsThanTrueEdgesAreNotHeldAgainstEarlyPrecision) {
  const auto result = evaluate_beeline(table_of({{"A", "B", 0.2}, {"A", "C", 0.1}}), kReference);
  EXPECT_EQ(result.early_kept, 2u);
  EXPECT_EQ(result.early_precision, 1.0);
}

TEST(BeelineTraps, WithoutTrueEdgesOfASignItsEarlyPrecisionIsNotDefined) {
  BeelineOptions options;
  options.signs.activating = kReference;
  const auto result = evaluate_beeline(table_of({{"A", "B", 1}}), kReference, options);
  EXPECT_EQ(result.activating.early_precision, 1.0);
  EXPECT_TRUE(std::isnan(result.repressing.early_precision));
}

}  // namespace
