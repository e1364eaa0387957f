// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/adam.hpp"

#include <algorithm>
#include <cmath>

namespace mgrn::train {
namespace {

// Division, square root and the rest are correctly rounded in every instruction set and nothing is
// contracted, so the clones for other instruction sets change the speed, never a bit.
__attribute__((always_inline)) inline void update_values(const Adam::Constants& c, std::size_t count,
                                                         float* weight, const float* gradient, float* first,
                                                         float* second) {
  for (std::size_t i = 0; i < count; ++i) {
    const float slope = gradient[i] + c.weight_decay * weight[i];
    first[i] = first[i] + c.one_minus_beta1 * (slope - first[i]);
    second[i] = second[i] * c.beta2 + c.one_minus_beta2 * slope * slope;
    const float denominator = std::sqrt(second[i]) * c.root_correction + c.epsilon;
    weight[i] = weight[i] - c.step_size * (first[i] / denominator);
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void update_avx2(const Adam::Constants& c, std::size_t count, float* weight,
                                                 const float* gradient, float* first, float* second) {
  update_values(c, count, weight, gradient, first, second);
}
__attribute__((target("avx512f,prefer-vector-width=512"))) void update_avx512(const Adam::Constants& c,
                                                                              std::size_t count,
                                                                              float* weight,
                                                                              const float* gradient,
                                                                              float* first, float* second) {
  update_values(c, count, weight, gradient, first, second);
}
bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}
bool has_avx512() {
  static const bool has = __builtin_cpu_supports("avx512f");
  return has;
}
#endif

}  // namespace

Adam::Adam(const model::Parameters& parameters, const AdamOptions& options)
    : Optimizer(options.clip, parameters.values().size(), 2), options_(options) {
  make_groups(parameters);
}

Adam::Adam(const model::Parameters& parameters, const AdamOptions& options, std::span<float> first_moment,
           std::span<float> second_moment)
    : Optimizer(options.clip, first_moment, second_moment), options_(options) {
  make_groups(parameters);
}

void Adam::make_groups(const model::Parameters& parameters) {
  const auto not_negative = [](double value) { return value >= 0 && std::isfinite(value); };
  const auto share = [](double value) { return value >= 0 && value < 1; };
  require(not_negative(options_.learning_rate), "train.learning_rate", "a finite number, 0 or more",
          options_.learning_rate);
  require(not_negative(options_.predictor_learning_rate), "train.predictor_learning_rate",
          "a finite number, 0 or more", options_.predictor_learning_rate);
  require(share(options_.beta1), "train.beta1", "a number in [0, 1)", options_.beta1);
  require(share(options_.beta2), "train.beta2", "a number in [0, 1)", options_.beta2);
  require(options_.epsilon > 0 && std::isfinite(options_.epsilon), "train.epsilon", "a finite number above 0",
          options_.epsilon);
  require(not_negative(options_.weight_decay), "train.weight_decay", "a finite number, 0 or more",
          options_.weight_decay);
  require(not_negative(options_.clip), "train.clip", "a finite number, 0 or more (0: no clipping)",
          options_.clip);
  // The padding between views belongs to the view before it: its gradient is zero and so stays its weight.
  for (const auto& view : parameters.views()) {
    const double rate = view.predictor ? options_.predictor_learning_rate : options_.learning_rate;
    const bool frozen = options_.freeze == (view.predictor ? Freeze::predictor : Freeze::encoder);
    if (groups_.empty() || groups_.back().learning_rate != rate || groups_.back().frozen != frozen) {
      groups_.push_back({.first = view.offset, .last = view.offset, .learning_rate = rate, .frozen = frozen});
    }
    groups_.back().last = view.offset + view.size;
  }
}

void Adam::mask(std::size_t first, std::span<float> gradient) const {
  for (const Group& group : groups_) {
    const std::size_t begin = std::max(first, group.first);
    const std::size_t end = std::min(first + gradient.size(), group.last);
    if (group.frozen && begin < end) {
      std::ranges::fill(gradient.subspan(begin - first, end - begin), 0.0f);
    }
  }
}

void Adam::set_rates(double rate_factor) {
  const auto count = static_cast<double>(steps());
  const double correction1 = 1 - std::pow(options_.beta1, count);
  const double correction2 = 1 - std::pow(options_.beta2, count);
  for (Group& group : groups_) {
    group.constants = {.one_minus_beta1 = static_cast<float>(1 - options_.beta1),
                       .beta2 = static_cast<float>(options_.beta2),
                       .one_minus_beta2 = static_cast<float>(1 - options_.beta2),
                       .weight_decay = static_cast<float>(options_.weight_decay),
                       .step_size = static_cast<float>(group.learning_rate * rate_factor / correction1),
                       .root_correction = static_cast<float>(1 / std::sqrt(correction2)),
                       .epsilon = static_cast<float>(options_.epsilon)};
  }
}

void Adam::update(std::size_t first, std::span<const float> gradient, std::span<float> weights) {
  for (const Group& group : groups_) {
    const std::size_t begin = std::max(first, group.first);
    const std::size_t end = std::min(first + gradient.size(), group.last);
    if (group.frozen || begin >= end) {
      continue;
    }
    auto* update_part = update_values;
#if defined(__x86_64__)
    if (has_avx512()) {
      update_part = update_avx512;
    } else if (has_avx2()) {
      update_part = update_avx2;
    }
#endif
    update_part(group.constants, end - begin, weights.data() + begin, gradient.data() + (begin - first),
                first_moment().data() + begin, second_moment().data() + begin);
  }
}

std::vector<model::WeightGroup> Adam::groups(std::size_t /*weights*/) const {
  std::vector<model::WeightGroup> result;
  for (const Group& group : groups_) {
    const Constants& c = group.constants;
    result.push_back(
        {.first = group.first,
         .last = group.last,
         .rule = group.frozen ? model::WeightGroup::Rule::frozen : model::WeightGroup::Rule::adam,
         .weight_decay = c.weight_decay,
         .one_minus_beta1 = c.one_minus_beta1,
         .beta2 = c.beta2,
         .one_minus_beta2 = c.one_minus_beta2,
         .step_size = c.step_size,
         .root_correction = c.root_correction,
         .epsilon = c.epsilon});
  }
  return result;
}

}  // namespace mgrn::train
