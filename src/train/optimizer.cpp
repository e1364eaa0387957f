// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/optimizer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/train/adam.hpp"
#include "multigrnformer/train/settings.hpp"
#include "multigrnformer/train/sgd.hpp"

namespace mgrn::train {
namespace {

// Sixteen partial sums, value i in sum i mod 16, folded by halves: one order for all.
__attribute__((always_inline)) inline double squares_of(const float* values, std::size_t count) {
  constexpr std::size_t kSums = 16;
  std::array<double, kSums> partial{};
  std::size_t i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (std::size_t lane = 0; lane < kSums; ++lane) {
      const auto value = static_cast<double>(values[i + lane]);
      partial[lane] += value * value;
    }
  }
  for (; i < count; ++i) {
    partial[i % kSums] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  for (std::size_t half = kSums / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) {
      partial[lane] += partial[lane + half];
    }
  }
  return partial[0];
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) double squares_avx2(const float* values, std::size_t count) {
  return squares_of(values, count);
}
bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}
#endif

}  // namespace

Optimizer::Optimizer(double clip, std::size_t values, int moments)
    : clip_(clip), own_(static_cast<std::size_t>(moments) * values, 0.0f) {
  first_ = std::span(own_).first(values);
  second_ = std::span(own_).subspan(values);
}

Optimizer::Optimizer(double clip, std::span<float> first_moment, std::span<float> second_moment)
    : clip_(clip), first_(first_moment), second_(second_moment) {}

void Optimizer::require(bool holds, const char* key, const char* expected, double got) {
  if (!holds) {
    throw base::UsageError({.what = "illegal value for the optimiser",
                            .file = key,
                            .expected = expected,
                            .got = std::to_string(got),
                            .hint = std::string("Give ") + key + " a value in its range."});
  }
}

double Optimizer::step(model::Parameters& parameters, std::span<float> gradient, double rate_factor) {
  const auto weights = parameters.values();
  if (weights.size() != first_.size() || gradient.size() != first_.size()) {
    throw base::InternalError({.what = "weights, gradient and moments of the optimiser differ in size",
                               .expected = std::to_string(first_.size()) + " values",
                               .got = std::to_string(weights.size()) + " weights and a gradient of " +
                                      std::to_string(gradient.size()),
                               .hint = "Report this as a defect."});
  }
  mask(0, gradient);
  std::vector<double> squares_of_blocks;
  for (std::size_t at = 0; at < gradient.size(); at += kBlock) {
    squares_of_blocks.push_back(squares(gradient.subspan(at, std::min(kBlock, gradient.size() - at))));
  }
  const double length = norm(squares_of_blocks);
  if (!std::isfinite(length)) {
    throw base::NumericError({.what = "the gradient given to the optimiser is not finite",
                              .expected = "a finite L2 norm",
                              .got = std::to_string(length),
                              .hint = "Lower train.learning_rate or set train.clip."});
  }
  scale(gradient, clip_factor(length));
  begin_step(rate_factor);
  update(0, gradient, weights);
  return length;
}

double Optimizer::squares(std::span<const float> block) {
#if defined(__x86_64__)
  if (has_avx2()) {
    return squares_avx2(block.data(), block.size());
  }
#endif
  return squares_of(block.data(), block.size());
}

double Optimizer::norm(std::span<const double> squares) {
  double sum = 0;
  for (const double of_block : squares) {
    sum += of_block;
  }
  return std::sqrt(sum);
}

float Optimizer::clip_factor(double norm) const {
  // torch.nn.utils.clip_grad_norm_'s factor, 1e-6 included.
  return clips() ? static_cast<float>(std::min(1.0, clip_ / (norm + 1e-6))) : 1.0f;
}

void Optimizer::scale(std::span<float> gradient, float factor) {
  if (factor < 1) {
    for (float& value : gradient) {
      value *= factor;
    }
  }
}

void Optimizer::begin_step(double rate_factor) {
  ++steps_;
  set_rates(rate_factor);
}

std::unique_ptr<Optimizer> make_optimizer(const model::Parameters& parameters, const Settings& settings,
                                          std::span<float> first_moment, std::span<float> second_moment) {
  if (settings.optimizer == OptimizerKind::sgd) {
    return std::make_unique<Sgd>(settings.sgd, first_moment);
  }
  return std::make_unique<Adam>(parameters, settings.adam, first_moment, second_moment);
}

}  // namespace mgrn::train
