// SPDX-License-Identifier: Apache-2.0
#include "gradient_norm.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <string>

#include "multigrnformer/base/error.hpp"

namespace mgrn::train {
namespace {

// Eight partial sums, value i in sum i mod 8, folded pairwise: one order for all.
__attribute__((always_inline)) inline double sum_of_squares_of(const float* values, std::size_t count) {
  std::array<double, 8> partial{};
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (std::size_t lane = 0; lane < 8; ++lane) {
      const auto value = static_cast<double>(values[i + lane]);
      partial[lane] += value * value;
    }
  }
  for (; i < count; ++i) {
    partial[i % 8] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  return ((partial[0] + partial[4]) + (partial[2] + partial[6])) +
         ((partial[1] + partial[5]) + (partial[3] + partial[7]));
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) double sum_of_squares_avx2(const float* values, std::size_t count) {
  return sum_of_squares_of(values, count);
}
bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}
#endif

double sum_of_squares(std::span<const float> values) {
#if defined(__x86_64__)
  if (has_avx2()) {
    return sum_of_squares_avx2(values.data(), values.size());
  }
#endif
  return sum_of_squares_of(values.data(), values.size());
}

}  // namespace

double clip_gradient(std::span<float> gradient, double clip) {
  const double norm = std::sqrt(sum_of_squares(gradient));
  if (!std::isfinite(norm)) {
    throw base::NumericError({.what = "the gradient given to the optimiser is not finite",
                              .expected = "a finite L2 norm",
                              .got = std::to_string(norm),
                              .hint = "Lower train.learning_rate or set train.clip."});
  }
  if (clip > 0) {
    // torch.nn.utils.clip_grad_norm_'s factor, 1e-6 included.
    const double factor = clip / (norm + 1e-6);
    if (factor < 1) {
      for (float& value : gradient) {
        value *= static_cast<float>(factor);
      }
    }
  }
  return norm;
}

}  // namespace mgrn::train
