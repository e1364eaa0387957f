// SPDX-License-Identifier: Apache-2.0
// Calibration of a model's scores on a run's validation pairs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/evaluate/calibration.hpp"
#include "multigrnformer/model/parameters.hpp"
#include "multigrnformer/train/compute_team.hpp"
#include "multigrnformer/train/score.hpp"

namespace mgrn::train {

/// Validation pairs with cells, and their labels.
struct ValidationPairs {
  std::vector<VotedPair> pairs;
  std::vector<std::uint8_t> labels;
  std::uint64_t positives() const;
  std::uint64_t negatives() const { return labels.size() - positives(); }
  /// Whether both labels are there often enough to fit a calibration.
  bool suffice() const;
};

/// Collective. `votes` samples of each pair, as many as the scores that will be calibrated are averages of: a
/// mean of more votes is less spread out. The same bits on any number of ranks. `suffice()` must hold unless
/// `method` is none.
evaluate::Calibration calibrate(ComputeTeam& team, const model::Parameters& parameters,
                                const ValidationPairs& validation, evaluate::CalibrationMethod method,
                                int votes, comm::Communicator& communicator);

}  // namespace mgrn::train
