// SPDX-License-Identifier: Apache-2.0
// A network from one regression per target: the targets over ranks and threads, finished ones kept on disk.
// Internal to the room.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "multigrnformer/baselines/method.hpp"
#include "multigrnformer/baselines/trees/target.hpp"

namespace mgrn::baselines {

/// One target, by grow_forest or boost_trees.
using RegressTarget =
    std::function<TargetImportance(TreeGrower& grower, std::span<const std::uint32_t> columns,
                                   std::span<const double> y, std::uint64_t key, const GiveUp& give_up)>;

/// Collective. `settings` tells in words all that `regress` depends on beside its arguments. Regressors are
/// the regulators sorted by symbol, and a target's random numbers are named by (seed, method, target), so
/// that neither the order of genes nor the number of ranks or threads matters. Writes network.tsv as arboreto
/// does. Throws UsageError (RP asked for where there is none), Stopped (finished targets are on disk).
std::unique_ptr<PairScorer> infer_network(const Problem& problem, const std::string& settings,
                                          const RegressTarget& regress, comm::Communicator& communicator);

}  // namespace mgrn::baselines
