// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent with Nesterov's momentum as Keras computes it: the rate falls with the number
// of steps, and the velocity holds the rate of the step in which it grew (PyTorch's holds none, so the two
// part as soon as the rate changes).
#pragma once

#include <cstddef>
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
  /// With the velocity in memory of the caller, as many values as there are weights.
  Sgd(const SgdOptions& options, std::span<float> velocity);

  void update(std::size_t first, std::span<const float> gradient, std::span<float> weights) override;
  std::vector<model::WeightGroup> groups(std::size_t weights) const override;

 private:
  void check() const;
  void set_rates(double rate_factor) override;

  SgdOptions options_;
  float rate_ = 0;  // of the step that was begun
};

}  // namespace mgrn::train
