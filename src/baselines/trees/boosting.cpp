// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient boosting of squared error (Friedman, doi 10.1016/S0167-9473(01)00065-2): the residual
// is what is kept, and each round takes its tree's share off it.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "multigrnformer/baselines/trees/target.hpp"

namespace mgrn::baselines {
namespace {

/// The cells that a round holds out: the first of a permutation that goes on from round to round, so that
/// each round draws as many numbers as it holds out cells.
class HeldOut {
 public:
  HeldOut(std::uint32_t cells, double subsample) : cells_(cells) {
    std::iota(cells_.begin(), cells_.end(), 0U);
    const auto kept = std::max(1U, static_cast<std::uint32_t>(subsample * cells));
    count_ = cells - std::min(kept, cells);
  }
  std::span<const std::uint32_t> draw(base::BufferedPhiloxStream& random) {
    for (std::uint32_t i = 0; i < count_; ++i) {
      std::swap(cells_[i], cells_[i + random.below(static_cast<std::uint32_t>(cells_.size()) - i)]);
    }
    return std::span<const std::uint32_t>(cells_).first(count_);
  }

 private:
  std::vector<std::uint32_t> cells_;
  std::uint32_t count_ = 0;
};

double mean_square(std::span<const double> residual, std::span<const std::uint32_t> cells) {
  double sum = 0;
  for (const auto cell : cells) {
    sum += residual[cell] * residual[cell];
  }
  return sum / static_cast<double>(cells.size());
}

}  // namespace

TargetImportance boost_trees(TreeGrower& grower, std::span<const std::uint32_t> columns,
                             std::span<const double> y, std::uint64_t key, const BoostingSettings& settings,
                             const GiveUp& give_up) {
  const auto cells = static_cast<std::uint32_t>(y.size());
  TargetImportance importance;
  importance.column.assign(grower.regressors().columns(), 0);
  if (std::all_of(y.begin(), y.end(), [&](double value) { return value == y.front(); })) {
    return importance;  // no tree would ever split
  }
  const TreeOptions options{
      .max_columns = std::max(
          1U, static_cast<std::uint32_t>(settings.max_features * static_cast<double>(columns.size()))),
      .max_depth = settings.depth};
  grower.use_columns(columns);
  const double mean = std::accumulate(y.begin(), y.end(), 0.0) / cells;
  std::vector<double> residual(cells);
  std::transform(y.begin(), y.end(), residual.begin(), [&](double value) { return value - mean; });
  HeldOut held(cells, settings.subsample);
  ShallowTree tree;
  std::array<double, 256> step{};
  std::vector<double> improvement;
  double last_error = 0;
  int round = 0;
  while (round < settings.rounds && !give_up()) {
    base::BufferedPhiloxStream random(key, static_cast<std::uint64_t>(round));
    const auto held_out = held.draw(random);
    grower.grow_shallow(residual, held_out, options, random, importance.column, tree);
    const double before = held_out.empty() ? 0 : mean_square(residual, held_out);
    std::transform(tree.leaf_means().begin(), tree.leaf_means().end(), step.begin(),
                   [&](double value) { return settings.learning_rate * value; });
    const auto leaf = grower.leaf();
    for (std::uint32_t cell = 0; cell < cells; ++cell) {
      residual[cell] -= step[leaf[cell]];
    }
    ++round;
    if (held_out.empty()) {
      continue;
    }
    const double after = mean_square(residual, held_out);
    improvement.push_back((settings.telescoping && round > 1 ? last_error : before) - after);
    last_error = after;
    if (round >= settings.window) {
      const double recent = std::accumulate(improvement.end() - settings.window, improvement.end(), 0.0);
      if (recent < 0) {
        break;
      }
    }
  }
  importance.trees = round;
  const double total = std::accumulate(importance.column.begin(), importance.column.end(), 0.0);
  for (auto& value : importance.column) {
    value *= total > 0 ? round / total : 0;
  }
  return importance;
}

}  // namespace mgrn::baselines
