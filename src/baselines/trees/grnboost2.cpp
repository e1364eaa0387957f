// SPDX-License-Identifier: Apache-2.0
// GRNBoost2: boosted shallow trees per target, as many as help on cells held out (Moerman et al.,
// doi 10.1093/bioinformatics/bty916).
#include "../method_list.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "network.hpp"

namespace mgrn::baselines {
namespace {

std::unique_ptr<PairScorer> prepare(const Problem& problem, comm::Communicator& communicator) {
  const BoostingSettings& boosting = problem.options.boosting;
  const std::string settings =
      "rounds " + std::to_string(boosting.rounds) + " rate " + formats::number_text(boosting.learning_rate) +
      " subsample " + formats::number_text(boosting.subsample) + " features " +
      formats::number_text(boosting.max_features) + " depth " + std::to_string(boosting.depth) + " window " +
      std::to_string(boosting.window) + (boosting.telescoping ? " telescoping" : "");
  return infer_network(
      problem, settings,
      [&](TreeGrower& grower, std::span<const std::uint32_t> columns, std::span<const double> y,
          std::uint64_t key,
          const GiveUp& give_up) { return boost_trees(grower, columns, y, key, boosting, give_up); },
      communicator);
}

}  // namespace

Method grnboost2_method() {
  return {.name = "grnboost2",
          .summary = "importances of regulators in boosted trees, one model per target (GRNBoost2)",
          .work = PrepareScorer(prepare)};
}

}  // namespace mgrn::baselines
