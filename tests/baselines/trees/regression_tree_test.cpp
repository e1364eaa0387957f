// SPDX-License-Identifier: Apache-2.0
// Trees against scikit-learn's (golden/trees.json), and against what holds for any tree.
#include "multigrnformer/baselines/trees/regression_tree.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "support/paths.hpp"

namespace mgrn::baselines {
namespace {

/// Columns that own their entries; values equal to `background` are left to it.
struct Columns {
  std::vector<std::vector<std::uint32_t>> cell;
  std::vector<std::vector<float>> value;
  std::vector<float> background;
  std::uint32_t cells = 0;

  void add(const std::vector<float>& values, float common) {
    cells = static_cast<std::uint32_t>(values.size());
    cell.emplace_back();
    value.emplace_back();
    background.push_back(common);
    for (std::uint32_t i = 0; i < cells; ++i) {
      if (values[i] != common) {
        cell.back().push_back(i);
        value.back().push_back(values[i]);
      }
    }
  }
  Regressors regressors() const {
    std::vector<RegressorColumn> columns;
    for (std::size_t i = 0; i < cell.size(); ++i) {
      columns.push_back({.cell = cell[i], .value = value[i], .background = background[i]});
    }
    return {columns, cells};
  }
};

/// `share` of the cells have one of few or of many values on both sides of the background.
Columns random_columns(std::uint64_t seed, std::uint32_t cells, std::size_t columns, double share,
                       int values) {
  base::BufferedPhiloxStream random(seed, 0);
  Columns made;
  for (std::size_t column = 0; column < columns; ++column) {
    std::vector<float> column_values(cells, 0.5F);
    for (auto& value : column_values) {
      if (random.uniform() < share) {
        value = static_cast<float>(random.below(static_cast<std::uint32_t>(values))) / 16.0F;
      }
    }
    made.add(column_values, 0.5F);
  }
  return made;
}

std::vector<double> random_target(std::uint64_t seed, std::uint32_t cells, double share) {
  base::BufferedPhiloxStream random(seed, 1);
  std::vector<double> y(cells);
  for (auto& value : y) {
    value = random.uniform() < share ? random.normal() : 0;
  }
  return y;
}

double squared_error(const std::vector<double>& y, const std::vector<std::uint32_t>& weight) {
  double n = 0;
  double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    n += weight[i];
    sum += weight[i] * y[i];
  }
  double error = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    error += weight[i] * (y[i] - sum / n) * (y[i] - sum / n);
  }
  return error;
}

TEST(RegressionTree, TakesWhatScikitLearnTakesOffTheErrorWithTheSameColumns) {
  const auto golden = base::read_json(test::source_path("tests/baselines/trees/golden/trees.json"));
  for (const auto& one : golden["cases"]) {
    SCOPED_TRACE(one["name"].get<std::string>());
    Columns columns;
    for (const auto& column : one["x"]) {
      columns.add(column.get<std::vector<float>>(), 0.0F);
    }
    const auto regressors = columns.regressors();
    const auto y = one["y"].get<std::vector<double>>();
    const auto weight = one["weight"].get<std::vector<std::uint32_t>>();
    TreeGrower grower(regressors);
    base::BufferedPhiloxStream random(1, 1);
    std::vector<double> drop(regressors.columns());
    const TreeOptions options{.max_columns = regressors.columns(), .max_depth = one["depth"]};
    EXPECT_EQ(grower.grow(y, weight, options, random, drop), one["splits"].get<std::uint32_t>());
    for (std::size_t i = 0; i < drop.size(); ++i) {
      EXPECT_NEAR(drop[i], one["drop"][i].get<double>(), 1e-9);
    }
    // The tree that is kept, on the cells that have a weight, where all of these are 1.
    std::vector<std::uint32_t> held_out;
    for (std::uint32_t cell = 0; cell < y.size(); ++cell) {
      if (weight[cell] == 0) {
        held_out.push_back(cell);
      }
    }
    if (std::any_of(weight.begin(), weight.end(), [](auto times) { return times > 1; })) {
      continue;
    }
    std::fill(drop.begin(), drop.end(), 0);
    ShallowTree tree;
    grower.grow_shallow(y, held_out, options, random, drop, tree);
    for (std::uint32_t cell = 0; cell < y.size(); ++cell) {
      EXPECT_NEAR(tree.leaf_means()[grower.leaf()[cell]], one["mean"][cell].get<double>(), 1e-12);
      EXPECT_EQ(tree.leaf_of(regressors, cell), grower.leaf()[cell]);
    }
  }
}

// The searches differ by size: whole columns, cells in lists, bitmaps, insertion. Each must find all there
// is.
TEST(RegressionTree, AFullTreeExplainsEverythingThatDistinctCellsAllow) {
  for (const double share : {0.02, 0.1, 0.5, 1.0}) {
    for (const std::uint32_t cells : {7U, 150U, 3000U}) {
      SCOPED_TRACE(std::to_string(share) + ", " + std::to_string(cells));
      Columns columns = random_columns(cells, cells, 12, share, 1 << 12);
      std::vector<float> unique(cells);
      std::iota(unique.begin(), unique.end(), 1.0F);
      columns.add(unique, 0.0F);  // no two cells are alike
      const auto regressors = columns.regressors();
      const auto y = random_target(cells, cells, share);
      std::vector<std::uint32_t> weight(cells);
      base::BufferedPhiloxStream random(cells, 7);
      for (std::uint32_t i = 0; i < cells; ++i) {
        ++weight[random.below(cells)];
      }
      TreeGrower grower(regressors);
      for (const bool random_thresholds : {false, true}) {
        std::vector<double> drop(regressors.columns());
        grower.grow(y, weight, {.max_columns = 4, .random_thresholds = random_thresholds}, random, drop);
        EXPECT_NEAR(std::accumulate(drop.begin(), drop.end(), 0.0), squared_error(y, weight), 1e-9 * cells);
      }
    }
  }
}

TEST(RegressionTree, TheFirstSplitIsTheBestOfAllSplits) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    const std::uint32_t cells = 60;
    const auto columns = random_columns(seed, cells, 6, seed % 2 == 0 ? 0.1 : 0.9, 5);
    const auto regressors = columns.regressors();
    const auto y = random_target(seed, cells, 0.6);
    std::vector<std::uint32_t> weight(cells);
    base::BufferedPhiloxStream random(seed, 2);
    for (auto& times : weight) {
      times = random.below(3);
    }
    double best = 0;
    for (std::size_t column = 0; column < columns.cell.size(); ++column) {
      std::vector<float> x(cells, columns.background[column]);
      for (std::size_t i = 0; i < columns.cell[column].size(); ++i) {
        x[columns.cell[column][i]] = columns.value[column][i];
      }
      for (const float threshold : x) {
        std::vector<std::uint32_t> left(weight);
        std::vector<std::uint32_t> right(weight);
        for (std::uint32_t cell = 0; cell < cells; ++cell) {
          (x[cell] <= threshold ? right : left)[cell] = 0;
        }
        if (std::accumulate(left.begin(), left.end(), 0U) > 0 &&
            std::accumulate(right.begin(), right.end(), 0U) > 0) {
          best = std::max(best, squared_error(y, weight) - squared_error(y, left) - squared_error(y, right));
        }
      }
    }
    TreeGrower grower(regressors);
    std::vector<double> drop(regressors.columns());
    grower.grow(y, weight, {.max_columns = 6, .max_depth = 1}, random, drop);
    EXPECT_NEAR(std::accumulate(drop.begin(), drop.end(), 0.0), best, 1e-10);
  }
}

TEST(RegressionTree, GoesOnDrawingOnlyWhileAllColumnsAreConstant) {
  // One column of many varies: a tree that tries one column a node must still find it, and nothing else.
  const std::uint32_t cells = 50;
  Columns columns;
  for (int i = 0; i < 70; ++i) {
    columns.add(std::vector<float>(cells, 2.0F), i % 2 == 0 ? 2.0F : 0.0F);
  }
  std::vector<float> step(cells, 0.0F);
  std::fill(step.begin() + 20, step.end(), 1.0F);
  columns.add(step, 0.0F);
  const auto regressors = columns.regressors();
  const std::vector<double> y(step.begin(), step.end());
  const std::vector<std::uint32_t> weight(cells, 1);
  TreeGrower grower(regressors);
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    base::BufferedPhiloxStream random(seed, 0);
    std::vector<double> drop(regressors.columns());
    EXPECT_EQ(grower.grow(y, weight, {.max_columns = 1}, random, drop), 1U);
    EXPECT_NEAR(drop[70], squared_error(y, weight), 1e-12);
  }
}

TEST(RegressionTree, ValuesThatDifferByLessThanTheToleranceStayTogether) {
  Columns columns;
  columns.add({0.0F, 5e-8F, 0.0F, 9e-8F}, 0.0F);
  const auto regressors = columns.regressors();
  TreeGrower grower(regressors);
  base::BufferedPhiloxStream random(1, 0);
  std::vector<double> drop(1);
  const std::vector<double> y = {0, 1, 0, 1};
  const std::vector<std::uint32_t> weight(4, 1);
  EXPECT_EQ(grower.grow(y, weight, {.max_columns = 1}, random, drop), 0U);
}

TEST(RegressionTree, ColumnsThatMayNotBeDrawnTakeNothing) {
  const auto columns = random_columns(3, 200, 5, 0.5, 100);
  const auto regressors = columns.regressors();
  TreeGrower grower(regressors);
  const std::vector<std::uint32_t> used = {0, 1, 3, 4};
  grower.use_columns(used);
  base::BufferedPhiloxStream random(1, 0);
  std::vector<double> drop(5);
  const std::vector<std::uint32_t> weight(200, 1);
  EXPECT_GT(grower.grow(random_target(3, 200, 1.0), weight, {.max_columns = 2}, random, drop), 10U);
  EXPECT_EQ(drop[2], 0.0);
  EXPECT_GT(drop[1], 0.0);
  EXPECT_THROW(grower.use_columns({}), base::InternalError);
}

TEST(Regressors, WideColumnsHaveWidePlaces) {
  const std::uint32_t cells = 70000;
  Columns columns;
  std::vector<float> rising(cells);
  std::iota(rising.begin(), rising.end(), 0.0F);
  columns.add(rising, -1.0F);
  const auto regressors = columns.regressors();
  std::vector<double> y(cells);
  std::fill(y.begin() + 69000, y.end(), 1.0);
  TreeGrower grower(regressors);
  base::BufferedPhiloxStream random(1, 0);
  std::vector<double> drop(1);
  ShallowTree tree;
  const std::vector<std::uint32_t> held_out = {10, 69999};
  EXPECT_EQ(grower.grow_shallow(y, held_out, {.max_columns = 1, .max_depth = 3}, random, drop, tree), 1U);
  EXPECT_EQ(tree.leaf_means()[tree.leaf_of(regressors, 10)], 0.0);
  EXPECT_EQ(tree.leaf_means()[tree.leaf_of(regressors, 69999)], 1.0);
}

TEST(Regressors, ARowHasTheCellsPlacesThatAreNoBackground) {
  for (const std::uint32_t cells : {50U, 70000U}) {
    Columns columns;
    std::vector<float> rising(cells);
    std::iota(rising.begin(), rising.end(), 0.0F);
    columns.add(rising, 3.0F);
    for (std::uint32_t cell = 0; cell < cells; ++cell) {
      rising[cell] = cell % 7 == 0 ? 1.0F : 0.0F;
    }
    columns.add(rising, 0.0F);
    columns.add(std::vector<float>(cells, 2.0F), 0.0F);
    const auto regressors = columns.regressors();
    regressors.with_places([&](const auto* places) { EXPECT_EQ(sizeof(*places), cells < 65535 ? 2U : 4U); });
    ASSERT_EQ(regressors.has_rows(), cells == 50);
    if (!regressors.has_rows()) {
      continue;
    }
    regressors.with_places([&](const auto* places) {
      for (std::uint32_t cell = 0; cell < cells; ++cell) {
        std::vector<std::uint32_t> dense(3);
        std::uint32_t next = 0;
        for (const auto& entry : regressors.row(cell)) {
          ASSERT_GE(entry.column, next);
          next = entry.column + 1U;
          dense[entry.column] = entry.place;
        }
        ASSERT_EQ(dense, std::vector<std::uint32_t>(places + std::size_t{cell} * 3,
                                                    places + std::size_t{cell} * 3 + 3));
      }
    });
  }
}

TEST(Regressors, RefuseWhatCannotBeSorted) {
  const std::vector<std::uint32_t> cell = {0, 5};
  const std::vector<float> value = {1.0F, 2.0F};
  const std::vector<float> bad = {1.0F, NAN};
  const std::vector<RegressorColumn> beyond = {{.cell = cell, .value = value}};
  EXPECT_THROW(Regressors(beyond, 5), base::InternalError);
  const std::vector<RegressorColumn> not_finite = {{.cell = cell, .value = bad}};
  EXPECT_THROW(Regressors(not_finite, 6), base::DataError);
}

}  // namespace
}  // namespace mgrn::baselines
