// SPDX-License-Identifier: Apache-2.0
// The reference engine against LibTorch's TransformerEncoderLayer and against finite differences, in float64.
#include "model/reference.hpp"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "model/positions.hpp"
#include "model/samples.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::model {
namespace {

using test::make_parameters;
using test::make_samples;
using test::Samples;

std::vector<double> widened(std::span<const float> values) {
  return {values.begin(), values.end()};
}

TEST(Reference, EncoderEqualsTorchTransformerEncoderLayer) {
  for (const Shape shape :
       {Shape{.cells = 37, .hidden = 5}, Shape{.cells = 20, .width = 6, .heads = 6, .layers = 3},
        Shape{.cells = 9, .width = 8, .heads = 4, .layers = 1},
        Shape{.cells = 12, .width = 8, .heads = 2, .positions = Positions::paper},
        Shape{.cells = 1, .positions = Positions::none}}) {
    const Parameters parameters = make_parameters(shape, 3);
    const Samples samples = make_samples(shape, 3, 3);
    const std::vector<double> values = widened(parameters.values());
    std::vector<double> inputs = widened(samples.inputs);
    const std::vector<double> got = reference_encoder(shape, values, 3, inputs);

    const std::vector<double> positions = positional_encoding(shape);
    for (std::size_t i = 0; i < inputs.size(); ++i) inputs[i] += positions[i % positions.size()];
    torch::NoGradGuard no_gradient;
    torch::Tensor x =
        torch::tensor(inputs, torch::kFloat64).view({3, shape.cells, shape.width}).transpose(0, 1);
    for (int layer = 0; layer < shape.layers; ++layer) {
      torch::nn::TransformerEncoderLayer module(
          torch::nn::TransformerEncoderLayerOptions(shape.width, shape.heads)
              .dim_feedforward(shape.feed_forward())
              .dropout(0.0)
              .activation(torch::kGELU));
      module->to(torch::kFloat64);
      std::size_t loaded = 0;
      for (auto& item : module->named_parameters()) {
        const ParameterView& view =
            parameters.view("encoder.layers." + std::to_string(layer) + "." + item.key());
        ASSERT_EQ(item.value().sizes().vec(), view.shape) << item.key();
        std::copy_n(values.data() + view.offset, view.size, item.value().data_ptr<double>());
        ++loaded;
      }
      ASSERT_EQ(loaded, 12u) << "every tensor of the layer is ours by name";
      x = module->forward(x);
    }
    const torch::Tensor expected = x.transpose(0, 1).contiguous();
    const std::span<const double> reference(expected.data_ptr<double>(), got.size());
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], reference[i], 1e-10);
  }
}

// One random direction per tensor: the directional derivative holds every element of its gradient at once.
TEST(Reference, GradientsEqualFiniteDifferencesInEveryTensor) {
  struct Case {
    Shape shape;
    double dropout;
  };
  for (const Case& at : {Case{{.cells = 7, .width = 4, .heads = 4, .layers = 2, .hidden = 6}, 0.0},
                         Case{{.cells = 6, .width = 4, .heads = 4, .layers = 1, .hidden = 6}, 0.3},
                         Case{{.cells = 5, .width = 6, .heads = 6, .layers = 1, .hidden = 4}, 0.0},
                         Case{{.cells = 6, .width = 8, .heads = 8, .layers = 1, .hidden = 4}, 0.0},
                         Case{{.cells = 6, .width = 8, .heads = 4, .layers = 1, .hidden = 4}, 0.0},
                         Case{{.cells = 6, .width = 8, .heads = 2, .layers = 1, .hidden = 4}, 0.0}}) {
    const Samples samples = make_samples(at.shape, 2, 21);
    const Parameters parameters = make_parameters(at.shape, 21);
    const std::vector<double> values = widened(parameters.values());
    const ReferenceStep step = reference_step(at.shape, values, samples.batch(), at.dropout);
    base::PhiloxStream random(1, 1);
    for (const ParameterView& view : parameters.views()) {
      std::vector<double> direction(view.size);
      for (double& value : direction) value = random.normal();
      double slope = 0;
      for (std::size_t i = 0; i < view.size; ++i) slope += direction[i] * step.gradient[view.offset + i];
      const double width = 1e-5;
      const auto loss_at = [&](double distance) {
        std::vector<double> moved = values;
        for (std::size_t i = 0; i < view.size; ++i) moved[view.offset + i] += distance * direction[i];
        return reference_step(at.shape, moved, samples.batch(), at.dropout).loss;
      };
      EXPECT_NEAR(slope, (loss_at(width) - loss_at(-width)) / (2 * width), 5e-8 * (1 + std::fabs(slope)))
          << view.name;
    }
  }
}

TEST(Reference, EngineAgreesWithItsDoubleAndIgnoresPadding) {
  const Shape shape{.cells = 50, .hidden = 32};
  const Parameters parameters = make_parameters(shape, 4);
  Samples samples = make_samples(shape, 6, 4);
  for (const double dropout : {0.0, 0.25}) {
    samples.weights.assign(6, 1.0f);
    const auto engine = make_engine(shape, 16, {"reference", "auto", dropout});
    EXPECT_EQ(engine->name(), "reference/libtorch");
    std::vector<float> gradient(parameters.values().size()), again(gradient.size());
    const StepStatistics statistics = engine->gradient(parameters, samples.batch(), gradient);
    const ReferenceStep exact = reference_step(shape, widened(parameters.values()), samples.batch(), dropout);
    EXPECT_LE(test::relative_error(gradient, exact.gradient), 5e-6);
    EXPECT_NEAR(statistics.loss, exact.loss, 1e-5);
    EXPECT_EQ(statistics.live_hidden, exact.live_hidden);
    engine->gradient(parameters, samples.batch(), again);
    EXPECT_EQ(gradient, again);
    samples.weights[5] = 0.0f;
    std::fill(samples.inputs.end() - 200, samples.inputs.end(), std::nanf(""));
    const ReferenceStep padded =
        reference_step(shape, widened(parameters.values()), samples.batch(), dropout);
    EXPECT_EQ(padded.logits.size(), 5u);
    EXPECT_TRUE(std::isfinite(padded.loss));
    samples = make_samples(shape, 6, 4);
  }
}

TEST(Reference, LeavesTheInstructionSetToLibTorch) {
  EXPECT_THROW(make_engine(Shape{.cells = 5}, 16, {"reference", "avx2", 0}), base::UsageError);
}

}  // namespace
}  // namespace mgrn::model
