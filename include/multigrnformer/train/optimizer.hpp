// SPDX-License-Identifier: Apache-2.0
// What moves the weights once a step's gradient is summed. Every rank takes the same step on its own copy:
// element-wise and in a fixed order, the same bits on every rank and every instruction set.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "multigrnformer/model/parameters.hpp"

namespace mgrn::train {

struct Settings;

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// One update, with all learning rates times `rate_factor`. `gradient` is the mean gradient (already
  /// divided by the number of samples); changed by clipping. Returns its L2 norm before clipping. Throws
  /// NumericError, before anything changed, when the norm is not finite.
  virtual double step(model::Parameters& parameters, std::span<float> gradient, double rate_factor) = 0;

  virtual std::int64_t steps() const = 0;
  virtual void set_steps(std::int64_t steps) = 0;  ///< on resume
  virtual std::span<float> first_moment() = 0;
  virtual std::span<float> second_moment() = 0;  ///< empty for an optimiser that has one vector
};

/// By settings.optimizer. Throws UsageError for rates and the like outside their range.
std::unique_ptr<Optimizer> make_optimizer(const model::Parameters& parameters, const Settings& settings);

}  // namespace mgrn::train
