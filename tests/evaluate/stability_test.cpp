// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/stability.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "evaluate/edge_tables.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "support/paths.hpp"

namespace {

using namespace mgrn::evaluate;
using mgrn::base::Json;
using mgrn::formats::EdgeTable;
using mgrn::formats::NamedEdge;
using mgrn::test::table_of;

const std::vector<NamedEdge> kReference = {{"A", "B"}, {"A", "C"}};

TEST(Stability, EqualsSciPyOnTheWholeUniverse) {
  const Json golden = mgrn::base::read_json(mgrn::test::source_path("tests/evaluate/golden/stability.json"));
  std::vector<NamedEdge> reference;
  for (const Json& edge : golden["reference"]) {
    reference.push_back({edge[0], edge[1]});
  }
  std::vector<EdgeTable> lists;
  for (const Json& list : golden["lists"]) {
    std::vector<std::tuple<std::string, std::string, double>> edges;
    for (const Json& edge : list) {
      edges.emplace_back(edge[0], edge[1], edge[2]);
    }
    lists.push_back(table_of(edges));
  }
  for (const bool tf_only : {true, false}) {
    const Stability found = evaluate_stability(lists, reference, {.early_tf_only = tf_only});
    const Json& expected = golden["expected"][tf_only ? "tf_only" : "all"];
    EXPECT_EQ(found.universe, expected["universe"].get<std::uint64_t>());
    EXPECT_EQ(found.best, expected["best"].get<std::uint64_t>());
    ASSERT_EQ(found.pairs.size(), 3u);
    for (std::size_t i = 0; i < found.pairs.size(); ++i) {
      EXPECT_NEAR(found.pairs[i].jaccard, expected["jaccard"][i].get<double>(), 1e-12);
      EXPECT_NEAR(found.pairs[i].spearman, expected["spearman"][i].get<double>(), 1e-12);
    }
  }
}

TEST(Stability, EqualListsAgreeWhollyAndListsWithoutPredictionsSayNothing) {
  const EdgeTable list = table_of({{"A", "B", 2}, {"A", "C", -1}});
  const EdgeTable scaled = table_of({{"a", "c", 10}, {"a", "b", 20}});
  const std::vector<EdgeTable> equal = {list, scaled};
  const Stability same = evaluate_stability(equal, kReference);
  EXPECT_EQ(same.pairs[0].jaccard, 1.0);
  EXPECT_NEAR(same.pairs[0].spearman, 1.0, 1e-15);
  const std::vector<EdgeTable> silent = {table_of({{"A", "B", 0}}), table_of({{"A", "C", 0}})};
  const Stability nothing = evaluate_stability(silent, kReference);
  EXPECT_TRUE(std::isnan(nothing.pairs[0].jaccard));
  EXPECT_TRUE(std::isnan(nothing.pairs[0].spearman));
  EXPECT_TRUE(to_json(nothing)["jaccard"]["median"].is_null());
}

TEST(Stability, NeedsTwoLists) {
  const std::vector<EdgeTable> one = {table_of({{"A", "B", 1}})};
  EXPECT_THROW(evaluate_stability(one, kReference), mgrn::base::UsageError);
}

TEST(Stability, SumsUpOverEveryTwoLists) {
  const std::vector<EdgeTable> lists = {table_of({{"A", "B", 1}}), table_of({{"A", "B", 1}}),
                                        table_of({{"A", "C", 1}})};
  const Json json = to_json(evaluate_stability(lists, kReference));
  EXPECT_EQ(json["jaccard"]["pairs"], 3);
  EXPECT_EQ(json["jaccard"]["median"], 0.0);
  EXPECT_EQ(json["jaccard"]["largest"], 1.0);
  EXPECT_NEAR(json["jaccard"]["mean"].get<double>(), 1.0 / 3, 1e-15);
}

}  // namespace
