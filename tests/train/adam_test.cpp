// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/train/adam.hpp"
#include "support/paths.hpp"

namespace mgrn::train {
namespace {

const model::Shape kSmall{.cells = 2, .width = 4, .heads = 4, .layers = 1, .hidden = 3};

/// As in golden/adam_golden.cpp.
float number(std::uint32_t index, std::uint32_t step) {
  std::uint32_t mixed = ((index + 1) * 2654435761u) ^ ((step * 40503u + 7u) * 2246822519u);
  mixed ^= mixed >> 15;
  mixed *= 2246822519u;
  mixed ^= mixed >> 13;
  return static_cast<float>(mixed >> 8) * 0x1.0p-24f - 0.5f;
}

/// Calls visit(index as in the golden file: encoder first, then predictor; place in the flat buffer).
template <typename Visit>
std::uint32_t for_each_value(const model::Parameters& parameters, Visit visit) {
  std::uint32_t index = 0;
  for (const bool predictor : {false, true}) {
    for (const auto& view : parameters.views()) {
      if (view.predictor == predictor) {
        for (std::size_t i = 0; i < view.size; ++i) {
          visit(index++, view.offset + i);
        }
      }
    }
  }
  return index;
}

std::vector<float> gradient_of_step(const model::Parameters& parameters, std::uint32_t step) {
  std::vector<float> gradient(parameters.values().size(), 0.0f);
  for_each_value(parameters, [&](std::uint32_t index, std::size_t place) {
    gradient[place] = number(index, step) / static_cast<float>(1u << (index % 13));
  });
  return gradient;
}

model::Parameters start_weights() {
  model::Parameters parameters(kSmall);
  for_each_value(parameters, [&](std::uint32_t index, std::size_t place) {
    parameters.values()[place] = number(index, 0);
  });
  return parameters;
}

class AdamAgainstTorch : public testing::TestWithParam<std::string> {};

TEST_P(AdamAgainstTorch, GivesTheSameWeightsAndNorms) {
  std::ifstream golden(mgrn::test::source_path("tests/train/golden/adam.txt"));
  ASSERT_TRUE(golden);
  model::Parameters parameters = start_weights();
  AdamOptions options;
  options.weight_decay = GetParam() == "plain" ? 0 : 1e-2;
  options.clip = GetParam() == "clip" ? 0.5 : 0;
  Adam adam(parameters, options);
  std::string line;
  int compared = 0;
  while (std::getline(golden, line)) {
    std::istringstream words(line);
    std::string name;
    int step = 0;
    double norm = 0;
    words >> name >> step >> norm;
    if (name != GetParam()) {
      continue;
    }
    double mine = 0;
    while (adam.steps() < step) {
      auto gradient = gradient_of_step(parameters, static_cast<std::uint32_t>(adam.steps()) + 1);
      mine = adam.step(parameters, gradient);
    }
    EXPECT_NEAR(mine, norm, 1e-6 * norm);
    const auto count = for_each_value(parameters, [&](std::uint32_t index, std::size_t place) {
      double expected = 0;
      ASSERT_TRUE(words >> expected);
      EXPECT_NEAR(static_cast<double>(parameters.values()[place]), expected, 1.2e-7) << name << ' ' << index;
    });
    EXPECT_EQ(count, 244u + 31u);
    ++compared;
  }
  EXPECT_EQ(compared, 2);
}

INSTANTIATE_TEST_SUITE_P(Cases, AdamAgainstTorch, testing::Values("plain", "decay", "clip"),
                         [](const auto& one) { return one.param; });

TEST(Adam, ContinuesFromStoredMomentsWithTheSameBits) {
  model::Parameters straight = start_weights();
  Adam one(straight, {});
  for (std::uint32_t step = 1; step <= 5; ++step) {
    auto gradient = gradient_of_step(straight, step);
    one.step(straight, gradient);
  }
  model::Parameters resumed = start_weights();
  Adam before(resumed, {});
  for (std::uint32_t step = 1; step <= 3; ++step) {
    auto gradient = gradient_of_step(resumed, step);
    before.step(resumed, gradient);
  }
  Adam after(resumed, {});
  std::ranges::copy(before.first_moment(), after.first_moment().begin());
  std::ranges::copy(before.second_moment(), after.second_moment().begin());
  after.set_steps(before.steps());
  for (std::uint32_t step = 4; step <= 5; ++step) {
    auto gradient = gradient_of_step(resumed, step);
    after.step(resumed, gradient);
  }
  EXPECT_TRUE(std::ranges::equal(straight.values(), resumed.values()));
}

// In float32, one operation after the other: what every instruction set must give.
TEST(Adam, PartsInAnyOrderGiveTheBitsOfTheFormula) {
  const model::Shape shape{.cells = 40, .width = 4, .heads = 4, .layers = 1, .hidden = 31};
  model::Parameters parameters(shape);
  model::initialise(parameters, 1);
  AdamOptions options;
  options.weight_decay = 1e-2;
  Adam adam(parameters, options);
  std::vector<float> weights(parameters.values().begin(), parameters.values().end());
  std::vector<float> first(weights.size()), second(weights.size());
  for (std::uint32_t step = 1; step <= 3; ++step) {
    const auto gradient = gradient_of_step(parameters, step);
    adam.begin_step(0.5);
    // From the end, in parts that no vector's width divides.
    for (std::size_t end = gradient.size(); end > 0;) {
      const std::size_t begin = end > 777 ? end - 777 : 0;
      adam.update(begin, std::span(gradient).subspan(begin, end - begin), parameters.values());
      end = begin;
    }
    for (const auto& view : parameters.views()) {
      const double rate = view.predictor ? options.predictor_learning_rate : options.learning_rate;
      const auto step_size =
          static_cast<float>(rate * 0.5 / (1 - std::pow(options.beta1, static_cast<double>(step))));
      const auto correction =
          static_cast<float>(1 / std::sqrt(1 - std::pow(options.beta2, static_cast<double>(step))));
      for (std::size_t i = view.offset; i < view.offset + view.size; ++i) {
        const float slope = gradient[i] + static_cast<float>(options.weight_decay) * weights[i];
        first[i] = first[i] + static_cast<float>(1 - options.beta1) * (slope - first[i]);
        second[i] = second[i] * static_cast<float>(options.beta2) +
                    static_cast<float>(1 - options.beta2) * slope * slope;
        const float denominator = std::sqrt(second[i]) * correction + static_cast<float>(options.epsilon);
        weights[i] = weights[i] - step_size * (first[i] / denominator);
      }
    }
    EXPECT_TRUE(std::ranges::equal(parameters.values(), weights)) << "step " << step;
    EXPECT_TRUE(std::ranges::equal(adam.first_moment(), first)) << "step " << step;
    EXPECT_TRUE(std::ranges::equal(adam.second_moment(), second)) << "step " << step;
  }
}

TEST(Adam, FirstStepMovesEachGroupByItsOwnRate) {
  model::Parameters parameters(kSmall);
  Adam adam(parameters, {});
  std::vector<float> gradient(parameters.values().size(), 0.0f);
  for_each_value(parameters, [&](std::uint32_t, std::size_t place) { gradient[place] = 2.0f; });
  adam.step(parameters, gradient);
  for (const auto& view : parameters.views()) {
    const float expected = view.predictor ? -1e-4f : -3e-3f;
    EXPECT_NEAR(parameters.values()[view.offset], expected, 1e-9f) << view.name;
  }
}

TEST(Adam, PaddingBetweenTensorsStaysZero) {
  model::Parameters parameters = start_weights();
  AdamOptions options;
  options.weight_decay = 0.1;
  Adam adam(parameters, options);
  std::vector<char> used(parameters.values().size(), 0);
  for_each_value(parameters, [&](std::uint32_t, std::size_t place) { used[place] = 1; });
  for (std::uint32_t step = 1; step <= 3; ++step) {
    auto gradient = gradient_of_step(parameters, step);
    adam.step(parameters, gradient);
  }
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i] == 0) {
      EXPECT_EQ(parameters.values()[i], 0.0f);
    }
  }
}

// As PyTorch with the parameters of one part alone: the same weights there, the same norms, and the other
// part as it was.
TEST(Adam, FrozenWeightsStayAndTheOthersMoveAsIfTheyWereAlone) {
  for (const Freeze freeze : {Freeze::encoder, Freeze::predictor}) {
    AdamOptions options;
    options.weight_decay = 0.1;
    options.clip = 0.2;
    const model::Parameters start = start_weights();
    const auto is_frozen = [&](const auto& view) { return view.predictor == (freeze == Freeze::predictor); };
    model::Parameters free = start, frozen = start;
    for (const auto& view : free.views()) {
      if (is_frozen(view)) {
        std::ranges::fill(free.tensor(view.name), 0.0f);  // nothing there that decays
      }
    }
    Adam all(free, options);
    options.freeze = freeze;
    Adam part(frozen, options);
    for (std::uint32_t step = 1; step <= 4; ++step) {
      auto gradient = gradient_of_step(start, step);
      auto without = gradient;
      for (const auto& view : start.views()) {
        if (is_frozen(view)) {
          std::fill_n(without.begin() + static_cast<std::ptrdiff_t>(view.offset), view.size, 0.0f);
        }
      }
      EXPECT_EQ(part.step(frozen, gradient), all.step(free, without));
    }
    for (const auto& view : start.views()) {
      const auto& expected = is_frozen(view) ? start : free;
      EXPECT_TRUE(std::ranges::equal(frozen.tensor(view.name), expected.tensor(view.name))) << view.name;
      EXPECT_EQ(std::ranges::equal(frozen.tensor(view.name), start.tensor(view.name)), is_frozen(view))
          << view.name;
    }
  }
}

TEST(Adam, ClippingScalesTheGradientToTheLimitAndLeavesSmallOnesAlone) {
  model::Parameters parameters(kSmall);
  AdamOptions options;
  options.clip = 1;
  Adam adam(parameters, options);
  auto gradient = gradient_of_step(parameters, 1);
  double squares = 0;
  const double norm = adam.step(parameters, gradient);
  for (const float value : gradient) {
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  EXPECT_GT(norm, 1);
  EXPECT_NEAR(std::sqrt(squares), 1, 1e-5);
  auto small = gradient_of_step(parameters, 2);
  for (float& value : small) {
    value *= 0.01f;
  }
  const auto before = small;
  adam.step(parameters, small);
  EXPECT_EQ(small, before);
}

TEST(Adam, RefusesANonFiniteGradientBeforeAnythingChanges) {
  model::Parameters parameters = start_weights();
  Adam adam(parameters, {});
  auto gradient = gradient_of_step(parameters, 1);
  gradient[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(adam.step(parameters, gradient), base::NumericError);
  EXPECT_EQ(adam.steps(), 0);
  EXPECT_TRUE(std::ranges::equal(parameters.values(), start_weights().values()));
}

TEST(Adam, RefusesIllegalOptionsByKey) {
  const model::Parameters parameters(kSmall);
  AdamOptions options;
  options.learning_rate = -1;
  try {
    Adam adam(parameters, options);
    FAIL() << "a negative rate was accepted";
  } catch (const base::UsageError& error) {
    EXPECT_EQ(error.text().file, "train.learning_rate");
  }
  options = {};
  options.clip = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(Adam(parameters, options), base::UsageError);
  options = {};
  options.beta2 = 1;
  EXPECT_THROW(Adam(parameters, options), base::UsageError);
}

TEST(Adam, RefusesAGradientOfAnotherSize) {
  model::Parameters parameters(kSmall);
  Adam adam(parameters, {});
  std::vector<float> gradient(3);
  EXPECT_THROW(adam.step(parameters, gradient), base::InternalError);
}

}  // namespace
}  // namespace mgrn::train
