// SPDX-License-Identifier: Apache-2.0
// What follows the exact sum, on the device: other threads' sums, the mean gradient, its squares, and the
// optimiser's step. Bits are the host's: those of model/fixed_point.cpp, train/optimizer.cpp, train/adam.cpp
// and train/sgd.cpp, whose operations are each correctly rounded and in the same order here.
#pragma once

#include "model/cuda/step_api.hpp"

namespace mgrn::model::cuda {

inline constexpr int kSquareBlock = 1024;
inline constexpr int kSquareLanes = 16;

struct AddSumsArguments {
  std::int64_t count;
  const std::uint64_t* from;
  std::uint64_t* to;
};

struct AddSums {
  static constexpr int kMostThreads = kThreads;
  static constexpr int kBlocksTogether = 2;
  AddSumsArguments a;

  template <typename Block>
  MGRN_DEVICE void operator()(Block& block) const {
    const std::int64_t stride = std::int64_t{block.threads()} * block.blocks();
    for (std::int64_t i = std::int64_t{block.block()} * block.threads() + block.thread(); i < a.count;
         i += stride) {
      a.to[i] += a.from[i];
    }
  }
};

/// Null for a weight of no group.
MGRN_DEVICE const UpdateGroup* group_of(const UpdateGroup* groups, int count, std::int64_t weight) {
  for (int i = 0; i < count; ++i) {
    if (weight >= groups[i].first && weight < groups[i].last) return groups + i;
  }
  return nullptr;
}

struct GradientArguments {
  std::int64_t count;
  const std::uint64_t* sum;
  std::uint64_t bias;  ///< what all additions together have added too much
  double factor;       ///< 2^-scale / divisor
  const UpdateGroup* groups;
  int group_count;
  float* gradient;
  double* squares;  ///< [count / kSquareBlock, rounded up]
};

/// A block of threads takes kSquareBlock values, in kSquareLanes doubles of shared memory.
struct TakeGradient {
  static constexpr int kMostThreads = kThreads;
  static constexpr int kBlocksTogether = 2;
  GradientArguments a;

  template <typename Block>
  MGRN_DEVICE void operator()(Block& block) const {
    const std::int64_t first = std::int64_t{block.block()} * kSquareBlock;
    const std::int64_t left = a.count - first;
    const int values = left < kSquareBlock ? static_cast<int>(left) : kSquareBlock;
    for (int i = block.thread(); i < values; i += block.threads()) {
      const std::int64_t whole = static_cast<std::int64_t>(a.sum[first + i] - a.bias);
      const UpdateGroup* const group = group_of(a.groups, a.group_count, first + i);
      const bool frozen = group != nullptr && group->rule == kRuleFrozen;
      a.gradient[first + i] = frozen ? 0.0f : static_cast<float>(static_cast<double>(whole) * a.factor);
    }
    block.sync();
    double* const partial = reinterpret_cast<double*>(block.shared());
    const int lane = block.thread();
    if (lane < kSquareLanes) {
      double total = 0.0;
      for (int i = lane; i < values; i += kSquareLanes) {
        const double value = static_cast<double>(a.gradient[first + i]);
        total += value * value;
      }
      partial[lane] = total;
    }
    block.sync();
    if (lane == 0) {
      for (int half = kSquareLanes / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; ++i) partial[i] += partial[i + half];
      }
      a.squares[block.block()] = partial[0];
    }
  }
};

struct MoveArguments {
  std::int64_t count;
  const UpdateGroup* groups;
  int group_count;
  float clip_factor;
  const float* gradient;
  float *weights, *first, *second;
};

struct MoveWeights {
  static constexpr int kMostThreads = kThreads;
  static constexpr int kBlocksTogether = 2;
  MoveArguments a;

  template <typename Block>
  MGRN_DEVICE void operator()(Block& block) const {
    const std::int64_t stride = std::int64_t{block.threads()} * block.blocks();
    for (std::int64_t i = std::int64_t{block.block()} * block.threads() + block.thread(); i < a.count;
         i += stride) {
      const UpdateGroup* const group = group_of(a.groups, a.group_count, i);
      if (group == nullptr || group->rule == kRuleFrozen) continue;
      const float gradient = a.clip_factor < 1.0f ? a.gradient[i] * a.clip_factor : a.gradient[i];
      if (group->rule == kRuleAdam) {
        adam(*group, i, gradient);
      } else {
        descend(*group, i, gradient);
      }
    }
  }

 private:
  MGRN_DEVICE void adam(const UpdateGroup& c, std::int64_t i, float gradient) const {
    const float slope = gradient + c.weight_decay * a.weights[i];
    const float first = a.first[i] + c.one_minus_beta1 * (slope - a.first[i]);
    const float second = a.second[i] * c.beta2 + c.one_minus_beta2 * slope * slope;
    const float denominator = square_root(second) * c.root_correction + c.epsilon;
    a.first[i] = first;
    a.second[i] = second;
    a.weights[i] = a.weights[i] - c.step_size * quotient(first, denominator);
  }
  MGRN_DEVICE void descend(const UpdateGroup& c, std::int64_t i, float gradient) const {
    const float push = c.rate * (gradient + c.weight_decay * a.weights[i]);
    const float velocity = c.momentum * a.first[i] - push;
    a.first[i] = velocity;
    a.weights[i] += c.momentum * velocity - push;
  }
};

}  // namespace mgrn::model::cuda
