// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/beeline.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "evaluate/edge_tables.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"

namespace {

using namespace mgrn::evaluate;
using mgrn::base::Json;
using mgrn::formats::EdgeTable;
using mgrn::formats::NamedEdge;
using mgrn::test::table_of;

TEST(Beeline, EqualsScikitLearnOnTheWholeUniverse) {
  const Json golden = mgrn::base::read_json(mgrn::test::source_path("tests/evaluate/golden/beeline.json"));
  for (const Json& test : golden) {
    SCOPED_TRACE(test["name"].get<std::string>());
    std::vector<NamedEdge> reference;
    for (const Json& edge : test["reference"]) {
      reference.push_back({edge[0], edge[1]});
    }
    std::vector<std::tuple<std::string, std::string, double>> edges;
    for (const Json& edge : test["ranked"]) {
      edges.emplace_back(edge[0], edge[1], edge[2]);
    }
    SignedNetwork signs;
    for (const Json& edge : test["signs"]) {
      (edge[2] == "+" ? signs.activating : signs.repressing).push_back({edge[0], edge[1]});
    }
    const EdgeTable ranked = table_of(edges);
    const Json& expected = test["expected"];
    for (const bool tf_only : {true, false}) {
      const BeelineResult result =
          evaluate_beeline(ranked, reference, {.early_tf_only = tf_only, .signs = signs});
      EXPECT_NEAR(result.auroc, expected["auroc"].get<double>(), 1e-12);
      EXPECT_NEAR(result.auprc, expected["auprc"].get<double>(), 1e-12);
      EXPECT_NEAR(result.average_precision, expected["average_precision"].get<double>(), 1e-12);
      EXPECT_NEAR(result.auprc_davis_goadrich, expected["davis_goadrich"].get<double>(), 1e-12);
      EXPECT_NEAR(result.auprc_ratio, expected["auprc_ratio"].get<double>(), 1e-11);
      const Json& early = expected[tf_only ? "tf_only" : "all"];
      EXPECT_EQ(result.early_kept, early["kept"].get<std::uint64_t>());
      EXPECT_NEAR(result.early_precision, early["early_precision"].get<double>(), 1e-12);
      EXPECT_NEAR(result.early_precision_ratio, early["early_precision_ratio"].get<double>(), 1e-12);
      ASSERT_TRUE(result.has_signs);
      for (const auto& [sign, found] : {std::pair("+", result.activating), {"-", result.repressing}}) {
        const Json& of_sign = early["signed"][sign];
        EXPECT_EQ(found.kept, of_sign["kept"].get<std::uint64_t>());
        EXPECT_NEAR(found.early_precision, of_sign["early_precision"].get<double>(), 1e-12);
        EXPECT_NEAR(found.early_precision_ratio, of_sign["early_precision_ratio"].get<double>(), 1e-11);
      }
    }
  }
}

const std::vector<NamedEdge> kReference = {{"A", "B"}, {"A", "C"}, {"B", "C"}};

TEST(Beeline, WithoutPredictionsIsRandomAndHasNoEarlyPrecision) {
  const BeelineResult result = evaluate_beeline(table_of({{"A", "B", 0.0}}), kReference);
  EXPECT_EQ(result.auroc, 0.5);
  EXPECT_EQ(result.average_precision, 0.5);
  EXPECT_EQ(result.early_precision, 0.0);
  EXPECT_EQ(result.early_precision_ratio, 0.0);
}

TEST(Beeline, TakesRegulatorsFromAListWhereGiven) {
  const EdgeTable ranked = table_of({{"a", "b", 2.0}, {"B", "C", 3.0}, {"A", "C", 1.0}, {"Z", "A", 9.0}});
  const BeelineResult result = evaluate_beeline(ranked, kReference, {.regulators = {"a", "unknown"}});
  EXPECT_EQ(result.early_universe, 2u);
  EXPECT_EQ(result.early_true_edges, 2u);
  EXPECT_EQ(result.early_kept, 2u);
  EXPECT_EQ(result.outside, 1u);
  const BeelineResult none = evaluate_beeline(ranked, kReference, {.regulators = {"C"}});
  EXPECT_TRUE(std::isnan(none.early_precision));
}

TEST(Beeline, RefusesListsOfOtherGenesAndNetworksOfSelfEdges) {
  EXPECT_THROW(evaluate_beeline(table_of({{"X", "Y", 1.0}}), kReference), mgrn::base::DataError);
  const std::vector<NamedEdge> self = {{"A", "a"}};
  EXPECT_THROW(evaluate_beeline(table_of({{"A", "B", 1.0}}), self), mgrn::base::DataError);
  EXPECT_THROW(evaluate_beeline(table_of({{"A", "B", std::nan("")}}), kReference), mgrn::base::NumericError);
}

TEST(Beeline, ScoresLabelledPairsWithTheLargestWeight) {
  const EdgeTable ranked = table_of({{"A", "B", -2.0}, {"a", "B", 1.0}, {"B", "A", 5.0}});
  std::vector<ScoredPair> pairs = {{"a", "b", 1, 7.0}, {"A", "C", 0, 7.0}};
  EXPECT_EQ(score_pairs(ranked, pairs), 1u);
  EXPECT_EQ(pairs[0].score, 2.0);
  EXPECT_EQ(pairs[1].score, 0.0);
}

TEST(Beeline, ReadsListsWithAndWithoutWeights) {
  const mgrn::test::TemporaryDirectory directory;
  std::ofstream(directory / "ranked.csv") << "Gene1\tGene2\tEdgeWeight\nA\tB\t-0.5\nA\tC\t0.25\n";
  std::ofstream(directory / "plain.csv") << "A,B\nB,C\nA,C\n";
  const EdgeTable ranked = read_ranked_list(directory / "ranked.csv");
  ASSERT_EQ(ranked.edges.size(), 2u);
  EXPECT_EQ(ranked.edges[0].weight, -0.5);
  const EdgeTable plain = read_ranked_list(directory / "plain.csv");
  ASSERT_EQ(plain.edges.size(), 3u);
  EXPECT_EQ(plain.edges[0].weight, 3.0);
  EXPECT_EQ(plain.edges[2].weight, 1.0);
}

TEST(Beeline, ReadsSignsFromAColumnOfThatNameAlone) {
  const mgrn::test::TemporaryDirectory directory;
  std::ofstream(directory / "signed.csv") << "Gene1,Gene2,Type\nA,B,+\nA,C,-\nB,C,+\n";
  std::ofstream(directory / "scored.csv") << "Gene1,Gene2,Score\nA,B,251\n";
  std::ofstream(directory / "wrong.csv") << "Gene1,Gene2,Type\nA,B,+\nA,C,up\n";
  std::ofstream(directory / "other.csv") << "Gene1,Gene2,Type\nA,B,PPI\n";
  const SignedNetwork network = read_signed_network(directory / "signed.csv");
  ASSERT_EQ(network.activating.size(), 2u);
  EXPECT_EQ(network.activating[1].tf, "B");
  ASSERT_EQ(network.repressing.size(), 1u);
  EXPECT_EQ(network.repressing[0].gene, "C");
  EXPECT_TRUE(read_signed_network(directory / "scored.csv").empty());
  EXPECT_TRUE(read_signed_network(directory / "other.csv").empty());
  EXPECT_THROW(read_signed_network(directory / "wrong.csv"), mgrn::base::DataError);
  const auto result = evaluate_beeline(table_of({{"A", "B", 2.0}}), kReference, {.signs = network});
  EXPECT_EQ(to_json(result)["activating"]["early_precision"], 1.0);
  EXPECT_FALSE(to_json(evaluate_beeline(table_of({{"A", "B", 2.0}}), kReference)).contains("activating"));
}

}  // namespace
