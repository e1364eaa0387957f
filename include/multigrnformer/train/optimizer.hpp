// SPDX-License-Identifier: Apache-2.0
// What moves the weights once a step's gradient is summed: element by element and in a fixed order, the same
// bits on every rank, from any number of threads and in every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "multigrnformer/base/large_array.hpp"
#include "multigrnformer/model/device_weights.hpp"
#include "multigrnformer/model/parameters.hpp"

namespace mgrn::train {

struct Settings;

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update, with all learning rates times `rate_factor`. `gradient` is the mean gradient (already
  /// divided by the number of samples); changed by clipping, and zero afterwards where weights are frozen.
  /// Returns its L2 norm before clipping. Throws NumericError, before anything changed, when the norm is not
  /// finite.
  double step(model::Parameters& parameters, std::span<float> gradient, double rate_factor = 1);

  // The same in parts, by several threads or ranks: mask() and squares() of each block of the gradient; where
  // clips(), the norm of all blocks and scale() with its clip_factor(); begin_step(); update() of each part.

  /// Values whose squares are added up together; the last block may be shorter.
  static constexpr std::size_t kBlock = 1024;
  static constexpr std::size_t blocks(std::size_t values) { return (values + kBlock - 1) / kBlock; }
  /// Zero where weights are frozen, which take no part in norm, clipping and update. `gradient` begins at
  /// value `first` of the model.
  virtual void mask(std::size_t /*first*/, std::span<float> /*gradient*/) const {}
  static double squares(std::span<const float> block);
  /// From the squares of all blocks, in their order.
  static double norm(std::span<const double> squares);
  bool clips() const { return clip_ > 0; }
  /// At most 1, and 1 where nothing is to be clipped.
  float clip_factor(double norm) const;
  static void scale(std::span<float> gradient, float factor);
  /// Once for all parts, by one thread.
  void begin_step(double rate_factor);
  /// Weights and moments from value `first` of the model on, as many as there are in `gradient`. Parts that
  /// do not overlap may be updated at once by several threads.
  virtual void update(std::size_t first, std::span<const float> gradient, std::span<float> weights) = 0;
  /// What update() does to which weights in the step that was begun, for who does it elsewhere
  /// (model::DeviceWeights), the same in every bit. `weights` is the number of all.
  virtual std::vector<model::WeightGroup> groups(std::size_t weights) const = 0;

  std::int64_t steps() const { return steps_; }
  void set_steps(std::int64_t steps) { steps_ = steps; }  ///< on resume
  std::span<float> first_moment() { return first_; }
  std::span<float> second_moment() { return second_; }  ///< empty for an optimiser that has one vector
  std::span<const float> first_moment() const { return first_; }
  std::span<const float> second_moment() const { return second_; }

 protected:
  /// With zero moments of its own: `moments` vectors, 1 or 2, of as many values as there are weights.
  Optimizer(double clip, std::size_t values, int moments);
  /// With moments in memory of the caller, which ranks of a node may share.
  Optimizer(double clip, std::span<float> first_moment, std::span<float> second_moment);

  /// Throws UsageError, naming the key, where an option is outside its range.
  static void require(bool holds, const char* key, const char* expected, double got);
  /// steps() counts the step that begins.
  virtual void set_rates(double rate_factor) = 0;

 private:
  double clip_;                  // largest L2 norm of the whole gradient; 0: none
  base::LargeArray<float> own_;  // the moments, unless they are the caller's
  std::span<float> first_;
  std::span<float> second_;
  std::int64_t steps_ = 0;
};

/// By settings.optimizer, with moments in memory of the caller, as many values each as there are weights; SGD
/// has no second. Throws UsageError for rates and the like outside their range.
std::unique_ptr<Optimizer> make_optimizer(const model::Parameters& parameters, const Settings& settings,
                                          std::span<float> first_moment, std::span<float> second_moment);

}  // namespace mgrn::train
