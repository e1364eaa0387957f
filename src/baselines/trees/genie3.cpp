// SPDX-License-Identifier: Apache-2.0
// GENIE3: a random forest per target (Huynh-Thu et al., doi 10.1371/journal.pone.0012776).
#include "../method_list.hpp"
#include "network.hpp"

namespace mgrn::baselines {
namespace {

std::unique_ptr<PairScorer> prepare(const Problem& problem, comm::Communicator& communicator) {
  const ForestSettings& forest = problem.options.forest;
  const std::string settings =
      "trees " + std::to_string(forest.trees) + (forest.bootstrap ? " random" : " extra") + " features " +
      std::to_string(forest.max_features) + (forest.normalise ? " normalised" : " variance");
  return infer_network(
      problem, settings,
      [&](TreeGrower& grower, std::span<const std::uint32_t> columns, std::span<const double> y,
          std::uint64_t key,
          const GiveUp& give_up) { return grow_forest(grower, columns, y, key, forest, give_up); },
      communicator);
}

}  // namespace

Method genie3_method() {
  return {.name = "genie3",
          .summary = "importances of regulators in random forests, one per target (GENIE3)",
          .work = PrepareScorer(prepare)};
}

}  // namespace mgrn::baselines
