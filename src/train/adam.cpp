// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/adam.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "gradient_norm.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::train {

namespace {

struct Constants {
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float weight_decay;
  float step_size;        // learning rate / (1 - beta1^t)
  float root_correction;  // 1 / sqrt(1 - beta2^t)
  float epsilon;
};

// Division, square root and the rest are correctly rounded in every instruction set and nothing is
// contracted, so the clones for other instruction sets change the speed, never a bit.
__attribute__((always_inline)) inline void update_values(const Constants& c, std::size_t count, float* weight,
                                                         const float* gradient, float* first, float* second) {
  for (std::size_t i = 0; i < count; ++i) {
    const float slope = gradient[i] + c.weight_decay * weight[i];
    first[i] = first[i] + c.one_minus_beta1 * (slope - first[i]);
    second[i] = second[i] * c.beta2 + c.one_minus_beta2 * slope * slope;
    const float denominator = std::sqrt(second[i]) * c.root_correction + c.epsilon;
    weight[i] = weight[i] - c.step_size * (first[i] / denominator);
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void update_avx2(const Constants& c, std::size_t count, float* weight,
                                                 const float* gradient, float* first, float* second) {
  update_values(c, count, weight, gradient, first, second);
}
bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}
#endif

void update(const Constants& c, std::size_t count, float* weight, const float* gradient, float* first,
            float* second) {
#if defined(__x86_64__)
  if (has_avx2()) {
    update_avx2(c, count, weight, gradient, first, second);
    return;
  }
#endif
  update_values(c, count, weight, gradient, first, second);
}

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

Adam::Adam(const model::Parameters& parameters, const AdamOptions& options)
    : options_(options), first_(parameters.values().size()), second_(parameters.values().size()) {
  const auto not_negative = [](double value) { return value >= 0 && std::isfinite(value); };
  const auto share = [](double value) { return value >= 0 && value < 1; };
  require(not_negative(options.learning_rate), "train.learning_rate", "a finite number, 0 or more",
          options.learning_rate);
  require(not_negative(options.predictor_learning_rate), "train.predictor_learning_rate",
          "a finite number, 0 or more", options.predictor_learning_rate);
  require(share(options.beta1), "train.beta1", "a number in [0, 1)", options.beta1);
  require(share(options.beta2), "train.beta2", "a number in [0, 1)", options.beta2);
  require(options.epsilon > 0 && std::isfinite(options.epsilon), "train.epsilon", "a finite number above 0",
          options.epsilon);
  require(not_negative(options.weight_decay), "train.weight_decay", "a finite number, 0 or more",
          options.weight_decay);
  require(not_negative(options.clip), "train.clip", "a finite number, 0 or more (0: no clipping)",
          options.clip);
  // The padding between views belongs to the view before it: its gradient is zero and so stays its weight.
  for (const auto& view : parameters.views()) {
    const double rate = view.predictor ? options.predictor_learning_rate : options.learning_rate;
    const bool frozen = options.freeze == (view.predictor ? Freeze::predictor : Freeze::encoder);
    if (groups_.empty() || groups_.back().learning_rate != rate || groups_.back().frozen != frozen) {
      groups_.push_back({view.offset, view.offset, rate, frozen});
    }
    groups_.back().last = view.offset + view.size;
  }
}

double Adam::step(model::Parameters& parameters, std::span<float> gradient, double rate_factor) {
  const auto weights = parameters.values();
  if (weights.size() != first_.size() || gradient.size() != first_.size()) {
    throw base::InternalError({.what = "weights, gradient and moments of the optimiser differ in size",
                               .expected = std::to_string(first_.size()) + " values",
                               .got = std::to_string(weights.size()) + " weights and a gradient of " +
                                      std::to_string(gradient.size()),
                               .hint = "Report this as a defect."});
  }
  for (const Group& group : groups_) {
    if (group.frozen) {
      const auto part = gradient.subspan(group.first, group.last - group.first);
      std::fill(part.begin(), part.end(), 0.0f);
    }
  }
  const double norm = clip_gradient(gradient, options_.clip);
  ++steps_;
  const auto count = static_cast<double>(steps_);
  const double correction1 = 1 - std::pow(options_.beta1, count);
  const double correction2 = 1 - std::pow(options_.beta2, count);
  for (const Group& group : groups_) {
    if (group.frozen) {
      continue;
    }
    const Constants constants{
        .one_minus_beta1 = static_cast<float>(1 - options_.beta1),
        .beta2 = static_cast<float>(options_.beta2),
        .one_minus_beta2 = static_cast<float>(1 - options_.beta2),
        .weight_decay = static_cast<float>(options_.weight_decay),
        .step_size = static_cast<float>(group.learning_rate * rate_factor / correction1),
        .root_correction = static_cast<float>(1 / std::sqrt(correction2)),
        .epsilon = static_cast<float>(options_.epsilon)};
    update(constants, group.last - group.first, weights.data() + group.first, gradient.data() + group.first,
           first_.data() + group.first, second_.data() + group.first);
  }
  return norm;
}

}  // namespace mgrn::train
