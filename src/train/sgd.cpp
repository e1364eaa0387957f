// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/sgd.hpp"

#include <cmath>
#include <string>

#include "gradient_norm.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::train {
namespace {

void require(bool holds, const char* key, const char* expected, double got) {
  if (!holds) {
    throw base::UsageError({.what = "illegal value for the optimiser",
                            .file = key,
                            .expected = expected,
                            .got = std::to_string(got),
                            .hint = std::string("Give ") + key + " a value in its range."});
  }
}

}  // namespace

Sgd::Sgd(const model::Parameters& parameters, const SgdOptions& options)
    : options_(options), velocity_(parameters.values().size()) {
  const auto not_negative = [](double value) { return value >= 0 && std::isfinite(value); };
  require(not_negative(options.learning_rate), "train.learning_rate", "a finite number, 0 or more",
          options.learning_rate);
  require(options.momentum >= 0 && options.momentum < 1, "train.momentum", "a number in [0, 1)",
          options.momentum);
  require(not_negative(options.decay), "train.decay", "a finite number, 0 or more", options.decay);
  require(not_negative(options.weight_decay), "train.weight_decay", "a finite number, 0 or more",
          options.weight_decay);
  require(not_negative(options.clip), "train.clip", "a finite number, 0 or more (0: no clipping)",
          options.clip);
}

double Sgd::step(model::Parameters& parameters, std::span<float> gradient, double rate_factor) {
  const auto weights = parameters.values();
  if (weights.size() != velocity_.size() || gradient.size() != velocity_.size()) {
    throw base::InternalError({.what = "weights, gradient and velocity of the optimiser differ in size",
                               .expected = std::to_string(velocity_.size()) + " values",
                               .got = std::to_string(weights.size()) + " weights and a gradient of " +
                                      std::to_string(gradient.size()),
                               .hint = "Report this as a defect."});
  }
  const double norm = clip_gradient(gradient, options_.clip);
  const auto rate = static_cast<float>(options_.learning_rate * rate_factor /
                                       (1 + options_.decay * static_cast<double>(steps_)));
  const auto momentum = static_cast<float>(options_.momentum);
  const auto weight_decay = static_cast<float>(options_.weight_decay);
  ++steps_;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const float push = rate * (gradient[i] + weight_decay * weights[i]);
    velocity_[i] = momentum * velocity_[i] - push;
    weights[i] += momentum * velocity_[i] - push;
  }
  return norm;
}

}  // namespace mgrn::train
