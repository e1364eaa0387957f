// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/calibrate.hpp"

#include <algorithm>

#include "multigrnformer/comm/agree.hpp"

namespace mgrn::train {

std::uint64_t ValidationPairs::positives() const {
  return static_cast<std::uint64_t>(std::count(labels.begin(), labels.end(), std::uint8_t{1}));
}

bool ValidationPairs::suffice() const {
  return std::min(positives(), negatives()) >= evaluate::kLeastCalibrationPairs;
}

evaluate::Calibration calibrate(ComputeTeam& team, const model::Parameters& parameters,
                                const ValidationPairs& validation, evaluate::CalibrationMethod method,
                                int votes, comm::Communicator& communicator) {
  if (method == evaluate::CalibrationMethod::none) {
    return {};
  }
  const auto scores =
      vote(team, parameters, validation.pairs, pairs::Purpose::validation, votes, communicator, {});
  evaluate::Calibration calibration;
  comm::agree(communicator,
              [&] { calibration = evaluate::Calibration::fit(method, scores, validation.labels); });
  return calibration;
}

}  // namespace mgrn::train
