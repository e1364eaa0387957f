// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/sgd.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "multigrnformer/base/error.hpp"

namespace mgrn::train {
namespace {

model::Parameters one_weight() {
  return model::Parameters({{"network", "one weight"}}, {{.name = "weight", .shape = {1}}});
}

// Under a constant gradient g the velocity after t steps is -lr g (1 - m^t) / (1 - m), and Nesterov's update
// moves the weight by m v - lr g.
TEST(Sgd, FollowsTheClosedFormOfNesterovsMomentum) {
  constexpr double kRate = 0.125, kMomentum = 0.75, kGradient = 2.0;
  model::Parameters weight = one_weight();
  Sgd sgd(weight, {.learning_rate = kRate, .momentum = kMomentum, .decay = 0});
  double expected = 0;
  for (int t = 1; t <= 20; ++t) {
    std::vector<float> gradient(weight.values().size(), 0.0f);
    gradient[0] = kGradient;
    EXPECT_EQ(sgd.step(weight, gradient), kGradient);
    const double velocity = -kRate * kGradient * (1 - std::pow(kMomentum, t)) / (1 - kMomentum);
    expected += kMomentum * velocity - kRate * kGradient;
    EXPECT_NEAR(static_cast<double>(weight.values()[0]), expected, 1e-5 * std::fabs(expected)) << t;
    EXPECT_NEAR(static_cast<double>(sgd.first_moment()[0]), velocity, 1e-5 * std::fabs(velocity)) << t;
  }
  EXPECT_EQ(sgd.steps(), 20);
  EXPECT_TRUE(sgd.second_moment().empty());
}

TEST(Sgd, RateFallsWithTheNumberOfSteps) {
  model::Parameters weight = one_weight();
  Sgd sgd(weight, {.learning_rate = 0.5, .momentum = 0, .decay = 0.25});
  double expected = 0;
  for (int t = 0; t < 8; ++t) {
    std::vector<float> gradient(weight.values().size(), 0.0f);
    gradient[0] = 1;
    sgd.step(weight, gradient);
    expected -= 0.5 / (1 + 0.25 * t);
    EXPECT_NEAR(static_cast<double>(weight.values()[0]), expected, 1e-6) << t;
  }
}

TEST(Sgd, GoesOnFromItsVelocityAndStepsAsIfItHadNeverStopped) {
  const SgdOptions options{.learning_rate = 0.1, .momentum = 0.9, .decay = 0.01, .clip = 1.5};
  const auto advance = [](Sgd& sgd, model::Parameters& weight, int first, int last) {
    for (int t = first; t < last; ++t) {
      std::vector<float> gradient(weight.values().size(), 0.0f);
      gradient[0] = static_cast<float>(std::sin(t)) * 3;
      sgd.step(weight, gradient);
    }
  };
  model::Parameters whole = one_weight();
  Sgd straight(whole, options);
  advance(straight, whole, 0, 12);
  model::Parameters parted = one_weight();
  Sgd first(parted, options);
  advance(first, parted, 0, 5);
  Sgd second(parted, options);
  std::copy(first.first_moment().begin(), first.first_moment().end(), second.first_moment().begin());
  second.set_steps(first.steps());
  advance(second, parted, 5, 12);
  EXPECT_EQ(parted.values()[0], whole.values()[0]);
}

TEST(Sgd, RefusesWhatIsOutOfRangeAndAGradientThatIsNotFinite) {
  model::Parameters weight = one_weight();
  EXPECT_THROW(Sgd(weight, {.learning_rate = -1}), base::UsageError);
  EXPECT_THROW(Sgd(weight, {.momentum = 1}), base::UsageError);
  EXPECT_THROW(Sgd(weight, {.decay = -1}), base::UsageError);
  Sgd sgd(weight, {});
  std::vector<float> gradient(weight.values().size(), std::numeric_limits<float>::quiet_NaN());
  EXPECT_THROW(sgd.step(weight, gradient), base::NumericError);
  EXPECT_EQ(weight.values()[0], 0.0f);
  EXPECT_EQ(sgd.steps(), 0);
}

}  // namespace
}  // namespace mgrn::train
