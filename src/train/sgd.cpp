// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/sgd.hpp"

#include <cmath>

namespace mgrn::train {

Sgd::Sgd(const model::Parameters& parameters, const SgdOptions& options)
    : Optimizer(options.clip, parameters.values().size(), 1), options_(options) {
  check();
}

Sgd::Sgd(const SgdOptions& options, std::span<float> velocity)
    : Optimizer(options.clip, velocity, {}), options_(options) {
  check();
}

void Sgd::check() const {
  const auto not_negative = [](double value) { return value >= 0 && std::isfinite(value); };
  require(not_negative(options_.learning_rate), "train.learning_rate", "a finite number, 0 or more",
          options_.learning_rate);
  require(options_.momentum >= 0 && options_.momentum < 1, "train.momentum", "a number in [0, 1)",
          options_.momentum);
  require(not_negative(options_.decay), "train.decay", "a finite number, 0 or more", options_.decay);
  require(not_negative(options_.weight_decay), "train.weight_decay", "a finite number, 0 or more",
          options_.weight_decay);
  require(not_negative(options_.clip), "train.clip", "a finite number, 0 or more (0: no clipping)",
          options_.clip);
}

void Sgd::set_rates(double rate_factor) {
  rate_ = static_cast<float>(options_.learning_rate * rate_factor /
                             (1 + options_.decay * static_cast<double>(steps() - 1)));
}

void Sgd::update(std::size_t first, std::span<const float> gradient, std::span<float> weights) {
  const auto momentum = static_cast<float>(options_.momentum);
  const auto weight_decay = static_cast<float>(options_.weight_decay);
  const auto velocity = first_moment().subspan(first, gradient.size());
  const auto moved = weights.subspan(first, gradient.size());
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const float push = rate_ * (gradient[i] + weight_decay * moved[i]);
    velocity[i] = momentum * velocity[i] - push;
    moved[i] += momentum * velocity[i] - push;
  }
}

std::vector<model::WeightGroup> Sgd::groups(std::size_t weights) const {
  return {{.first = 0,
           .last = weights,
           .rule = model::WeightGroup::Rule::sgd,
           .weight_decay = static_cast<float>(options_.weight_decay),
           .rate = rate_,
           .momentum = static_cast<float>(options_.momentum)}};
}

}  // namespace mgrn::train
