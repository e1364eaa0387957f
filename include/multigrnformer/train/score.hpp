// SPDX-License-Identifier: Apache-2.0
// Scores of many samples, divided over ranks and threads. Samples are cut into units of the team's
// micro-batch with fixed content (the last one padded), so a score's bits depend on the sample alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/base/progress.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/model/parameters.hpp"
#include "multigrnformer/pairs/sample_source.hpp"
#include "multigrnformer/train/compute_team.hpp"

namespace mgrn::train {

using ScoringItem = pairs::SampleRequest;

/// Collective. One logit per item, on every rank. `item(i)` is called from several threads; every item must
/// have a sample. `task` names the work on the progress bar, empty: none. `stoppable`: a stop signal on any
/// rank ends it with base::Stopped on all.
std::vector<float> compute_logits(ComputeTeam& team, const model::Parameters& parameters, std::size_t items,
                                  const std::function<ScoringItem(std::size_t)>& item,
                                  comm::Communicator& communicator, const std::string& task, bool stoppable);

struct VotedPair {
  const pairs::SampleSource* sampler = nullptr;  ///< null: no sample
  std::uint32_t tf = 0;
  std::uint32_t gene = 0;
};

/// Collective. Probability of each pair, averaged over `votes` samples, on every rank; a pair without a
/// sample scores 0. Throws base::Stopped on all ranks when a stop signal reaches one.
std::vector<double> vote(ComputeTeam& team, const model::Parameters& parameters,
                         std::span<const VotedPair> voted, pairs::Purpose purpose, int votes,
                         comm::Communicator& communicator, const std::string& task);

/// 1 / (1 + exp(-logit)).
double probability(double logit);
/// Binary cross entropy of a logit, without overflow.
double cross_entropy(double logit, double label);

}  // namespace mgrn::train
