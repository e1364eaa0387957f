// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/learning_rate.hpp"

#include <cmath>

namespace mgrn::train {

double LearningRateSchedule::factor(std::int64_t update) const {
  const double growth = static_cast<double>(batch) / kReferenceBatch;
  const double whole = scaling == RateScaling::linear        ? growth
                       : scaling == RateScaling::square_root ? std::sqrt(growth)
                                                             : 1.0;
  return update < warmup ? whole * static_cast<double>(update) / static_cast<double>(warmup) : whole;
}

}  // namespace mgrn::train
