// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent with Nesterov's momentum as Keras computes it: the rate falls with the number
// of steps, and the velocity holds the rate of the step in which it grew (PyTorch's holds none, so the two
// part as soon as the rate changes).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "multigrnformer/model/parameters.hpp"
#include "multigrnformer/train/optimizer.hpp"

namespace mgrn::train {

struct SgdOptions {
  double learning_rate = 0.01;
  double momentum = 0.9;
  double decay = 1e-6;      ///< rate of step t (from 0): learning_rate / (1 + decay t)
  double weight_decay = 0;  ///< L2 penalty, added to the gradient
  double clip = 0;          ///< largest L2 norm of the whole gradient; 0: none
};

class Sgd final : public Optimizer {
 public:
  /// Throws UsageError for a rate, momentum, decay or clip outside its range.
  Sgd(const model::Parameters& parameters, const SgdOptions& options);

  double step(model::Parameters& parameters, std::span<float> gradient, double rate_factor = 1) override;
  std::int64_t steps() const override { return steps_; }
  void set_steps(std::int64_t steps) override { steps_ = steps; }
  std::span<float> first_moment() override { return velocity_; }
  std::span<float> second_moment() override { return {}; }

 private:
  SgdOptions options_;
  std::vector<float> velocity_;
  std::int64_t steps_ = 0;
};

}  // namespace mgrn::train
