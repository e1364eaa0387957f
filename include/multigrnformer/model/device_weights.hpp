// SPDX-License-Identifier: Apache-2.0
// Weights and moments in the memory of a GPU, where the exact sum of gradients is: the rest of a step then
// happens there, with the bits that the host would give (train/optimizer.hpp, train/adam.cpp, train/sgd.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mgrn::model {

/// How a run of consecutive weights moves in one step.
struct WeightGroup {
  enum class Rule { frozen, adam, sgd };

  std::size_t first = 0;
  std::size_t last = 0;  ///< behind it; weights of no group stay as they are
  Rule rule = Rule::frozen;
  float weight_decay = 0;
  // Adam (train/adam.hpp Adam::Constants).
  float one_minus_beta1 = 0, beta2 = 0, one_minus_beta2 = 0, step_size = 0, root_correction = 0, epsilon = 0;
  // Gradient descent with Nesterov's momentum (train/sgd.hpp).
  float rate = 0, momentum = 0;
};

/// Of one rank: one thread calls, while no engine that uses the weights is at work.
class DeviceWeights {
 public:
  /// Values of a gradient whose squares are added up together, the last block may be shorter.
  static constexpr std::size_t kBlock = 1024;

  virtual ~DeviceWeights() = default;
  DeviceWeights() = default;
  DeviceWeights(const DeviceWeights&) = delete;
  DeviceWeights& operator=(const DeviceWeights&) = delete;

  /// From and to the host's memory; spans of moments that the rule does not have are empty.
  virtual void put(std::span<const float> weights, std::span<const float> first_moment,
                   std::span<const float> second_moment) = 0;
  virtual void fetch(std::span<float> weights, std::span<float> first_moment,
                     std::span<float> second_moment) const = 0;

  /// Adds one complete sum on this device (Engine::device_sum) to another.
  virtual void add(std::span<std::uint64_t> to, std::span<const std::uint64_t> from) = 0;
  /// The mean gradient is what model::to_float() makes of the sum, zero in frozen groups.
  virtual void take_gradient(std::span<const std::uint64_t> sum, std::uint64_t additions, int scale,
                             double divisor, std::span<const WeightGroup> groups) = 0;
  /// Sums of the mean gradient's squares, one for each block.
  virtual void squares(std::span<double> of_blocks) = 0;
  /// Weights and moments move by the mean gradient times `clip_factor`, where that is below 1.
  virtual void step(float clip_factor) = 0;
};

}  // namespace mgrn::model
