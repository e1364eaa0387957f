// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>

#include "multigrnformer/baselines/trees/target.hpp"

namespace mgrn::baselines {
namespace {

std::uint32_t columns_tried(int max_features, std::size_t columns) {
  if (max_features < 0) {
    return static_cast<std::uint32_t>(columns);
  }
  if (max_features == 0) {
    return std::max(1U, static_cast<std::uint32_t>(std::sqrt(static_cast<double>(columns))));
  }
  return static_cast<std::uint32_t>(std::min(static_cast<std::size_t>(max_features), columns));
}

double variance(std::span<const double> y) {
  const auto cells = static_cast<double>(y.size());
  const double mean = std::accumulate(y.begin(), y.end(), 0.0) / cells;
  double sum = 0;
  for (const double value : y) {
    sum += (value - mean) * (value - mean);
  }
  return sum / cells;
}

}  // namespace

TargetImportance grow_forest(TreeGrower& grower, std::span<const std::uint32_t> columns,
                             std::span<const double> y, std::uint64_t key, const ForestSettings& settings,
                             const GiveUp& give_up) {
  const auto cells = static_cast<std::uint32_t>(y.size());
  const TreeOptions options{.max_columns = columns_tried(settings.max_features, columns.size()),
                            .random_thresholds = !settings.bootstrap};
  grower.use_columns(columns);
  TargetImportance importance;
  importance.column.assign(grower.regressors().columns(), 0);
  importance.trees = settings.trees;
  std::vector<double> drop(importance.column.size());
  std::vector<std::uint32_t> weight(cells, 1);
  const double all_squares = cells * variance(y);
  int with_splits = 0;
  for (int tree = 0; tree < settings.trees && !give_up(); ++tree) {
    base::BufferedPhiloxStream random(key, static_cast<std::uint64_t>(tree));
    if (settings.bootstrap) {
      std::fill(weight.begin(), weight.end(), 0);
      for (std::uint32_t draw = 0; draw < cells; ++draw) {
        ++weight[random.below(cells)];
      }
    }
    std::fill(drop.begin(), drop.end(), 0);
    if (grower.grow(y, weight, options, random, drop) == 0) {
      continue;
    }
    ++with_splits;
    double total = 0;
    for (const auto column : columns) {
      total += drop[column];
    }
    const double scale = settings.normalise ? (total > 0 ? 1 / total : 0) : 1 / all_squares;
    for (const auto column : columns) {
      importance.column[column] += drop[column] * scale;
    }
  }
  double total = 0;
  for (const auto column : columns) {
    total += importance.column[column];
  }
  const double scale = settings.normalise ? (total > 0 ? 1 / total : 0) : 1.0 / std::max(1, with_splits);
  for (auto& value : importance.column) {
    value *= scale;
  }
  return importance;
}

}  // namespace mgrn::baselines
