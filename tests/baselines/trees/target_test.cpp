// SPDX-License-Identifier: Apache-2.0
// One target by both methods: what their scores promise. parity.py holds them against scikit-learn.
#include "multigrnformer/baselines/trees/target.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace mgrn::baselines {
namespace {

constexpr std::uint32_t kCells = 300;
constexpr std::uint32_t kColumns = 30;

/// Sparse columns; the target follows column 4 and, less, column 9.
struct World {
  std::vector<std::vector<std::uint32_t>> cell{kColumns};
  std::vector<std::vector<float>> value{kColumns};
  std::vector<double> signal = std::vector<double>(kCells);
  std::vector<double> noise = std::vector<double>(kCells);
  std::vector<std::uint32_t> columns = std::vector<std::uint32_t>(kColumns);

  World() {
    base::PhiloxStream random(5, 5);
    for (std::uint32_t column = 0; column < kColumns; ++column) {
      for (std::uint32_t i = 0; i < kCells; ++i) {
        if (random.uniform() < 0.3) {
          cell[column].push_back(i);
          value[column].push_back(static_cast<float>(1 + random.uniform()));
          signal[i] += column == 4 ? 2 : column == 9 ? 0.7 : 0;
        }
      }
    }
    for (std::uint32_t i = 0; i < kCells; ++i) {
      noise[i] = random.normal();
      signal[i] += 0.3 * random.normal();
    }
    std::iota(columns.begin(), columns.end(), 0U);
  }
  Regressors regressors() const {
    std::vector<RegressorColumn> made;
    for (std::uint32_t i = 0; i < kColumns; ++i) {
      made.push_back({.cell = cell[i], .value = value[i]});
    }
    return {made, kCells};
  }
};

double sum(const TargetImportance& importance) {
  return std::accumulate(importance.column.begin(), importance.column.end(), 0.0);
}
std::size_t best(const TargetImportance& importance) {
  return static_cast<std::size_t>(std::max_element(importance.column.begin(), importance.column.end()) -
                                  importance.column.begin());
}
bool never() {
  return false;
}

class Target : public testing::Test {
 protected:
  World world_;
  Regressors regressors_ = world_.regressors();
  TreeGrower grower_{regressors_};
  TargetImportance boost(const std::vector<double>& y, std::uint64_t key,
                         const BoostingSettings& settings = {}) {
    return boost_trees(grower_, world_.columns, y, key, settings, never);
  }
  TargetImportance forest(const std::vector<double>& y, std::uint64_t key, const ForestSettings& settings) {
    return grow_forest(grower_, world_.columns, y, key, settings, never);
  }
};

TEST_F(Target, BoostedImportancesSumToTheRoundsAndGoOnWhileTheyHelp) {
  const auto signal = boost(world_.signal, 1);
  const auto noise = boost(world_.noise, 1);
  EXPECT_NEAR(sum(signal), signal.trees, 1e-9);
  EXPECT_EQ(best(signal), 4U);
  EXPECT_GT(signal.column[9], 3 * signal.column[10]);
  EXPECT_GE(noise.trees, 25);
  EXPECT_LT(noise.trees, 150);
  EXPECT_GT(signal.trees, 250);
}

TEST_F(Target, BoostingEndsAfterTheFirstWindowWithoutImprovement) {
  // A rate above 2 overshoots: every round makes the error larger, and the first window says so.
  EXPECT_EQ(boost(world_.signal, 1, {.learning_rate = 2.5}).trees, 25);
  EXPECT_EQ(boost(world_.signal, 1, {.learning_rate = 2.5, .window = 7}).trees, 7);
  // Without cells held out there is nothing to stop it.
  EXPECT_EQ(boost(world_.noise, 1, {.rounds = 200, .subsample = 1.0}).trees, 200);
  EXPECT_EQ(boost(world_.signal, 1, {.rounds = 40}).trees, 40);
}

TEST_F(Target, TheTwoDefinitionsOfImprovementStopAtDifferentRounds) {
  int different = 0;
  for (std::uint64_t key = 0; key < 5; ++key) {
    different +=
        boost(world_.noise, key).trees != boost(world_.noise, key, {.telescoping = true}).trees ? 1 : 0;
  }
  EXPECT_GE(different, 3);
}

TEST_F(Target, ForestImportancesSumToOneOrToTheShareExplained) {
  const auto normalised = forest(world_.signal, 1, {.trees = 50});
  EXPECT_NEAR(sum(normalised), 1, 1e-12);
  EXPECT_EQ(best(normalised), 4U);
  const auto variance = forest(world_.signal, 1, {.trees = 50, .normalise = false});
  EXPECT_EQ(best(variance), 4U);
  EXPECT_NEAR(sum(variance), 1, 0.1);  // full trees explain nearly all of their samples' variance
  std::vector<double> scaled(world_.signal);
  for (auto& y : scaled) {
    y *= 1024;  // exact: the trees are the same
  }
  EXPECT_NEAR(forest(scaled, 1, {.trees = 50, .normalise = false}).column[4], variance.column[4], 1e-12);
  const auto extra = forest(world_.signal, 1, {.trees = 50, .bootstrap = false});
  EXPECT_NEAR(sum(extra), 1, 1e-12);
  EXPECT_EQ(best(extra), 4U);
}

TEST_F(Target, TryingAllColumnsFindsTheOneSignalMoreOften) {
  EXPECT_GT(forest(world_.signal, 1, {.trees = 30, .max_features = -1}).column[4],
            forest(world_.signal, 1, {.trees = 30, .max_features = 2}).column[4] + 0.1);
}

TEST_F(Target, AConstantTargetHasNoRegulators) {
  const std::vector<double> constant(kCells, 0.25);
  EXPECT_EQ(sum(boost(constant, 1)), 0.0);
  EXPECT_EQ(sum(forest(constant, 1, {.trees = 5})), 0.0);
  EXPECT_EQ(sum(forest(constant, 1, {.trees = 5, .normalise = false})), 0.0);
}

TEST_F(Target, IsAFunctionOfItsKeyWhateverTheGrowerDidBefore) {
  TreeGrower fresh(regressors_);
  const auto again = boost_trees(fresh, world_.columns, world_.signal, 7, {}, never);
  boost(world_.noise, 3);
  forest(world_.noise, 3, {.trees = 3});
  EXPECT_EQ(boost(world_.signal, 7).column, again.column);
  EXPECT_NE(boost(world_.signal, 8).column, again.column);
  const auto one = forest(world_.signal, 7, {.trees = 5});
  EXPECT_EQ(forest(world_.signal, 7, {.trees = 5}).column, one.column);
  EXPECT_NE(forest(world_.signal, 8, {.trees = 5}).column, one.column);
}

TEST_F(Target, GivesUpWhenAsked) {
  int asked = 0;
  const auto soon = [&] { return ++asked > 3; };
  boost_trees(grower_, world_.columns, world_.signal, 1, {}, soon);
  EXPECT_EQ(asked, 4);
  asked = 0;
  grow_forest(grower_, world_.columns, world_.signal, 1, {}, soon);
  EXPECT_EQ(asked, 4);
}

}  // namespace
}  // namespace mgrn::baselines
