// SPDX-License-Identifier: Apache-2.0
// The pooling readout: LibTorch's gradients against finite differences in float64, our kernels against those.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "model/available_kernels.hpp"
#include "model/reference.hpp"
#include "model/samples.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::model {
namespace {

using test::make_parameters;
using test::make_samples;
using test::Samples;

Shape pool_shape(int cells, int width, int layers, int hidden, int context = 0) {
  return {.cells = cells,
          .width = width,
          .heads = 1,
          .layers = layers,
          .hidden = hidden,
          .positions = Positions::none,
          .readout = Readout::pool,
          .context = context};
}

std::vector<double> widened(std::span<const float> values) {
  return {values.begin(), values.end()};
}

// Of every tile and tail: units and inputs beside multiples of 8 and 4, cells beside those of 32.
const std::vector<Shape> kShapes{pool_shape(500, 32, 2, 64), pool_shape(1, 4, 1, 3),
                                 pool_shape(37, 13, 3, 7, 5), pool_shape(64, 8, 1, 9),
                                 pool_shape(33, 6, 2, 16, 21)};

TEST(PoolReference, GradientsEqualFiniteDifferencesInEveryTensor) {
  for (const Shape& shape : {pool_shape(7, 5, 2, 6), pool_shape(6, 4, 1, 4, 3), pool_shape(9, 3, 3, 5)}) {
    const Samples samples = make_samples(shape, 3, 21);
    const Parameters parameters = make_parameters(shape, 21);
    const std::vector<double> values = widened(parameters.values());
    const ReferenceStep step = reference_step(shape, values, samples.batch(), 0);
    base::PhiloxStream random(1, 1);
    for (const ParameterView& view : parameters.views()) {
      std::vector<double> direction(view.size);
      for (double& value : direction) value = random.normal();
      double slope = 0;
      for (std::size_t i = 0; i < view.size; ++i) slope += direction[i] * step.gradient[view.offset + i];
      const double width = 1e-6;
      const auto loss_at = [&](double distance) {
        std::vector<double> moved = values;
        for (std::size_t i = 0; i < view.size; ++i) moved[view.offset + i] += distance * direction[i];
        return reference_step(shape, moved, samples.batch(), 0).loss;
      };
      EXPECT_NEAR(slope, (loss_at(width) - loss_at(-width)) / (2 * width), 1e-6 * (1 + std::fabs(slope)))
          << view.name;
    }
  }
}

TEST(PoolEngine, GivesTheReferencesLogitsLossAndGradientsOnEveryInstructionSet) {
  for (const Shape& shape : kShapes) {
    const Parameters parameters = make_parameters(shape, 4);
    Samples samples = make_samples(shape, 5, 4);
    samples.weights[3] = 0;  // padding, whatever it holds
    std::fill_n(samples.inputs.begin() + 3 * shape.cells * shape.columns(), shape.cells * shape.columns(),
                std::nanf(""));
    const ReferenceStep exact = reference_step(shape, widened(parameters.values()), samples.batch(), 0);
    for (const cpu::Kernels* kernels : test::available_kernels()) {
      const std::string isa = kernels->name;
      SCOPED_TRACE("N " + std::to_string(shape.cells) + " width " + std::to_string(shape.width) + " " + isa);
      const auto engine = make_engine(shape, 16, {.kind = "auto", .isa = isa});
      EXPECT_EQ(engine->name(), "pool/" + isa);
      std::vector<float> gradient(parameters.values().size(), 7.0f), again(gradient.size());
      const StepStatistics statistics = engine->gradient(parameters, samples.batch(), gradient);
      EXPECT_LE(test::relative_error(gradient, exact.gradient), 5e-6);
      for (const ParameterView& view : parameters.views()) {
        const std::span<const float> got = std::span<const float>(gradient).subspan(view.offset, view.size);
        const auto wanted = std::span<const double>(exact.gradient).subspan(view.offset, view.size);
        EXPECT_LE(test::relative_error(got, wanted), 5e-5) << view.name;
      }
      EXPECT_NEAR(statistics.loss, exact.loss, 1e-5);
      EXPECT_EQ(statistics.live_hidden, exact.live_hidden);
      engine->gradient(parameters, samples.batch(), again);
      EXPECT_EQ(gradient, again);
    }
  }
}

TEST(PoolEngine, ALogitDependsOnItsSampleAloneAndNotOnTheOrderOfItsCells) {
  const Shape shape = pool_shape(50, 12, 2, 10);
  const Parameters parameters = make_parameters(shape, 5);
  const Samples samples = make_samples(shape, 7, 5);
  const std::size_t size = static_cast<std::size_t>(shape.cells * shape.columns());
  const auto engine = make_engine(shape, 4, {});
  std::vector<float> together(7), alone(1);
  engine->predict(parameters, 7, samples.inputs, together);
  const auto reference = make_engine(shape, 4, {.kind = "reference"});
  std::vector<float> expected(7);
  reference->predict(parameters, 7, samples.inputs, expected);
  for (std::size_t i = 0; i < 7; ++i) {
    std::vector<float> sample(samples.inputs.begin() + static_cast<std::ptrdiff_t>(i * size),
                              samples.inputs.begin() + static_cast<std::ptrdiff_t>((i + 1) * size));
    engine->predict(parameters, 1, sample, alone);
    EXPECT_EQ(alone[0], together[i]);
    EXPECT_NEAR(alone[0], expected[i], 1e-5);
    for (std::size_t n = 0; n < size / 2; n += 4) {  // the cells in reverse
      std::swap_ranges(sample.begin() + static_cast<std::ptrdiff_t>(n),
                       sample.begin() + static_cast<std::ptrdiff_t>(n + 4),
                       sample.end() - static_cast<std::ptrdiff_t>(n + 4));
    }
    engine->predict(parameters, 1, sample, alone);
    EXPECT_NEAR(alone[0], together[i], 1e-5);
  }
}

TEST(PoolEngine, ANonFiniteSampleReachesTheGradient) {
  const Shape shape = pool_shape(20, 8, 2, 8);
  const Parameters parameters = make_parameters(shape, 6);
  Samples samples = make_samples(shape, 2, 6);
  samples.inputs[3] = std::nanf("");
  const auto engine = make_engine(shape, 2, {});
  std::vector<float> gradient(parameters.values().size());
  engine->gradient(parameters, samples.batch(), gradient);
  EXPECT_TRUE(std::any_of(gradient.begin(), gradient.end(), [](float g) { return !std::isfinite(g); }));
}

TEST(PoolEngine, HasFiveThousandWeightsNamedAsSequentialModules) {
  const Parameters parameters(pool_shape(500, 32, 2, 64));
  std::size_t weights = 0;
  for (const ParameterView& view : parameters.views()) weights += view.size;
  EXPECT_EQ(weights, 4u * 32 + 32 + 32 * 32 + 32 + 64 * 64 + 64 + 64 + 1);
  EXPECT_EQ(parameters.view("cells.2.weight").shape, (std::vector<std::int64_t>{32, 32}));
  EXPECT_EQ(parameters.view("predictor.0.weight").shape, (std::vector<std::int64_t>{64, 64}));
  EXPECT_FALSE(parameters.view("cells.0.weight").predictor);
  EXPECT_TRUE(parameters.view("predictor.2.bias").predictor);
}

TEST(PoolEngine, RefusesWhatBelongsToTheEncoder) {
  const Shape shape = pool_shape(20, 8, 2, 8);
  for (const char* kind : {"linear", "quadratic", "tensor"}) {
    EXPECT_THROW(make_engine(shape, 2, {.kind = kind}), base::UsageError) << kind;
  }
  EXPECT_THROW(make_engine(shape, 2, {.dropout = 0.1}), base::UsageError);
  EXPECT_THROW(make_engine(shape, 2, {.device = "cuda"}), base::UsageError);
  EXPECT_THROW(make_engine(pool_shape(1'000'000, 512, 2, 8), 16, {}), base::UsageError) << "too large";
  Shape wrong = shape;
  wrong.heads = 4;
  EXPECT_THROW(validate(wrong), base::UsageError);
  wrong = shape;
  wrong.positions = Positions::standard;
  EXPECT_THROW(validate(wrong), base::UsageError);
  Shape flatten;
  flatten.context = 3;
  EXPECT_THROW(validate(flatten), base::UsageError);
}

}  // namespace
}  // namespace mgrn::model
