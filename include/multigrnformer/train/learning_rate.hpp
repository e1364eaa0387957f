// SPDX-License-Identifier: Apache-2.0
// The factor on both learning rates, step by step: how they grow with the batch, and warm-up. A pure function
// of the settings and of how often the optimiser has stepped, so a restart changes nothing.
#pragma once

#include <cstdint>

namespace mgrn::train {

/// How rates follow the batch: not at all, with its square root (what Adam's update calls for: Malladi and
/// others, arXiv 2205.10287), or in proportion (Goyal and others, arXiv 1706.02677, for SGD).
enum class RateScaling { none, square_root, linear };

/// Samples per step at which the rates are taken as they are given: train.batch's default, for which the
/// recipes' rates were found.
inline constexpr int kReferenceBatch = 32;

struct LearningRateSchedule {
  RateScaling scaling = RateScaling::none;
  int batch = kReferenceBatch;  ///< samples per step
  std::int64_t warmup = 0;      ///< steps in which the rate grows evenly from its first part to the whole

  /// Factor of update number `update`, from 1; 1 for ever where nothing is asked for.
  double factor(std::int64_t update) const;
};

}  // namespace mgrn::train
