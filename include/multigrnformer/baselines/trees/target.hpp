// SPDX-License-Identifier: Apache-2.0
// One target gene: its expression regressed on the candidate regulators, and how much each of them took part.
// Both methods are functions of the regressors, the target's values and `key` alone, whoever computes them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "multigrnformer/baselines/trees/regression_tree.hpp"
#include "multigrnformer/baselines/trees/settings.hpp"

namespace mgrn::baselines {

struct TargetImportance {
  std::vector<double> column;  ///< importance of each of the regressors' columns, 0 where it was never split
  int trees = 0;               ///< GRNBoost2: rounds until it stopped
};

/// Asked now and then during a target; true gives up, and what is returned then is of no use.
using GiveUp = std::function<bool()>;

/// GENIE3. `columns` may be drawn (the target's own are left out by the caller), `y` holds one value a cell.
/// Importances sum to 1 (ForestSettings::normalise); all are 0 where no tree could split.
TargetImportance grow_forest(TreeGrower& grower, std::span<const std::uint32_t> columns,
                             std::span<const double> y, std::uint64_t key, const ForestSettings& settings,
                             const GiveUp& give_up);

/// GRNBoost2. Importances sum to the number of rounds; all are 0 for a constant target.
TargetImportance boost_trees(TreeGrower& grower, std::span<const std::uint32_t> columns,
                             std::span<const double> y, std::uint64_t key, const BoostingSettings& settings,
                             const GiveUp& give_up);

}  // namespace mgrn::baselines
