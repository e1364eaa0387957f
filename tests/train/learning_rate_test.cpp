// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/learning_rate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "multigrnformer/train/adam.hpp"

namespace mgrn::train {
namespace {

TEST(LearningRate, StaysAsGivenWhereNothingIsAskedFor) {
  const LearningRateSchedule schedule{.scaling = RateScaling::none, .batch = 4096, .warmup = 0};
  for (const std::int64_t update : {1, 2, 1000}) {
    EXPECT_EQ(schedule.factor(update), 1.0);
  }
}

TEST(LearningRate, FollowsTheBatchFromItsReferenceOn) {
  const auto factor = [](RateScaling scaling, int batch) {
    return LearningRateSchedule{.scaling = scaling, .batch = batch, .warmup = 0}.factor(1);
  };
  EXPECT_EQ(factor(RateScaling::linear, 32), 1.0);
  EXPECT_EQ(factor(RateScaling::square_root, 32), 1.0);
  EXPECT_EQ(factor(RateScaling::linear, 512), 16.0);
  EXPECT_EQ(factor(RateScaling::square_root, 512), 4.0);
  EXPECT_EQ(factor(RateScaling::linear, 8), 0.25);
  EXPECT_EQ(factor(RateScaling::square_root, 8), 0.5);
}

// Independent of the schedule's code: Adam under a constant gradient moves a weight by its rate in each step,
// so the path after t steps is the sum of the rates, lr k t (t + 1) / (2 W) in warm-up and lr k (t - (W - 1)
// / 2) behind it.
TEST(LearningRate, MovesAWeightAsTheClosedFormSays) {
  constexpr double kRate = 1.0 / 1024;
  constexpr int kWarmup = 12;
  const LearningRateSchedule schedule{
      .scaling = RateScaling::square_root, .batch = 128, .warmup = kWarmup};  // k = 2
  model::Parameters parameters(model::Shape{.cells = 2, .width = 4, .heads = 4, .layers = 1, .hidden = 3});
  AdamOptions options;
  options.learning_rate = options.predictor_learning_rate = kRate;
  Adam adam(parameters, options);
  const auto& view = parameters.views().front();
  for (int t = 1; t <= 40; ++t) {
    std::vector<float> gradient(parameters.values().size(), 0.25f);
    adam.step(parameters, gradient, schedule.factor(adam.steps() + 1));
    const double path = t <= kWarmup ? t * (t + 1) / (2.0 * kWarmup) : t - (kWarmup - 1) / 2.0;
    EXPECT_NEAR(static_cast<double>(parameters.values()[view.offset]), -2 * kRate * path, 2e-6 * path) << t;
  }
}

TEST(LearningRate, WarmUpEndsWithTheWholeRate) {
  const LearningRateSchedule schedule{.scaling = RateScaling::none, .batch = 32, .warmup = 5};
  const std::vector<double> expected = {0.2, 0.4, 0.6, 0.8, 1, 1, 1};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_DOUBLE_EQ(schedule.factor(static_cast<std::int64_t>(i) + 1), expected[i]);
  }
}

}  // namespace
}  // namespace mgrn::train
