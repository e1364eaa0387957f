// SPDX-License-Identifier: Apache-2.0
// The fused engines against the float64 reference: logits, loss and the gradient of every tensor.
#include <gtest/gtest.h>

#include "model/reference.hpp"
#include "model/samples.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::model {
namespace {

using test::make_parameters;
using test::make_samples;
using test::Samples;

struct Case {
  Shape shape;
  double sharpness = 1;
  double dropout = 0;
  float inner = 1;  // scales the feed-forward net's first weights, which decide how GELU is computed
};

// More than what an engine takes forward and back together.
constexpr int kSamples = 11;

void expect_parity(const Case& at, const std::string& kind, const std::string& isa) {
  const Shape& shape = at.shape;
  const Samples samples = make_samples(shape, kSamples, 31);
  Parameters parameters = make_parameters(shape, 31, at.sharpness);
  for (const ParameterView& view : parameters.views()) {
    if (!view.name.ends_with("linear1.weight")) continue;
    for (float& weight : parameters.values().subspan(view.offset, view.size)) weight *= at.inner;
  }
  const std::vector<double> values(parameters.values().begin(), parameters.values().end());
  const ReferenceStep exact = reference_step(shape, values, samples.batch(), at.dropout);
  const auto engine = make_engine(shape, 16, {kind, isa, at.dropout});
  const std::string where = engine->name() + " N " + std::to_string(shape.cells) + " width " +
                            std::to_string(shape.width) + " heads " + std::to_string(shape.heads) +
                            " layers " + std::to_string(shape.layers) + " sharpness " +
                            std::to_string(at.sharpness) + " dropout " + std::to_string(at.dropout) +
                            " inner " + std::to_string(at.inner);
  std::vector<float> gradient(values.size());
  const StepStatistics statistics = engine->gradient(parameters, samples.batch(), gradient);
  EXPECT_NEAR(statistics.loss, exact.loss, 2e-5 * at.sharpness) << where;
  EXPECT_EQ(statistics.live_hidden, exact.live_hidden) << where;
  if (at.dropout == 0) {
    std::vector<float> logits(kSamples);
    engine->predict(parameters, kSamples, samples.inputs, logits);
    EXPECT_LE(test::relative_error(logits, exact.logits), 5e-6 * at.sharpness) << where;
  }
  // Errors are taken against the norm of all encoder gradients where a tensor's own is negligible: the
  // attention of one cell has no gradient, for example.
  double encoder_norm = 0;
  for (const ParameterView& view : parameters.views()) {
    if (view.predictor) continue;
    for (std::size_t i = 0; i < view.size; ++i)
      encoder_norm += exact.gradient[view.offset + i] * exact.gradient[view.offset + i];
  }
  encoder_norm = std::sqrt(encoder_norm);
  for (const ParameterView& view : parameters.views()) {
    double difference = 0;
    double norm = 0;
    for (std::size_t i = 0; i < view.size; ++i) {
      const double expected = exact.gradient[view.offset + i];
      difference += std::pow(gradient[view.offset + i] - expected, 2);
      norm += expected * expected;
    }
    EXPECT_LE(std::sqrt(difference), 1e-5 * at.sharpness * std::max(std::sqrt(norm), 0.02 * encoder_norm))
        << where << ' ' << view.name;
  }
}

std::vector<Case> cases(bool scalar_heads) {
  std::vector<Case> result;
  for (const int cells : {1, 3, 16, 100, 500}) {
    result.push_back({{.cells = cells, .heads = scalar_heads ? 4 : 2, .hidden = 64}});
  }
  result.push_back({{.cells = 100, .width = 6, .heads = scalar_heads ? 6 : 2, .layers = 3, .hidden = 64}});
  result.push_back({{.cells = 101, .width = 8, .heads = scalar_heads ? 8 : 2, .layers = 1, .hidden = 128}});
  result.push_back({{.cells = 77, .width = 8, .heads = scalar_heads ? 8 : 4, .layers = 3, .hidden = 33}});
  result.push_back({{.cells = 64, .heads = scalar_heads ? 4 : 1, .positions = Positions::none}});
  result.push_back({{.cells = 100, .heads = scalar_heads ? 4 : 2, .hidden = 64}, 1, 0.3});
  result.push_back({{.cells = 300, .heads = scalar_heads ? 4 : 2, .hidden = 64}, 2.0});
  result.push_back({{.cells = 300, .heads = scalar_heads ? 4 : 1, .hidden = 64}, 3.5});
  for (const float inner : {0.3f, 1.5f, 2.5f, 4.0f, 20.0f}) {
    result.push_back({.shape = {.cells = 70, .heads = scalar_heads ? 4 : 2, .hidden = 64}, .inner = inner});
  }
  return result;
}

TEST(EngineParity, QuadraticMatchesTheReferenceInEveryTensor) {
  for (const bool scalar_heads : {true, false}) {
    for (const Case& at : cases(scalar_heads)) {
      expect_parity(at, "quadratic", "auto");
      expect_parity(at, "quadratic", "baseline");
    }
  }
}

TEST(EngineParity, LinearMatchesTheReferenceInEveryTensor) {
  for (const Case& at : cases(true)) {
    expect_parity(at, "linear", "auto");
    expect_parity(at, "linear", "baseline");
  }
}

TEST(EngineParity, TensorMatchesTheReferenceInEveryTensor) {
  for (const bool scalar_heads : {true, false}) {
    for (const Case& at : cases(scalar_heads)) expect_parity(at, "tensor", "auto");
  }
}

TEST(EngineParity, AutoIsLinearForScalarHeadsAndQuadraticElse) {
  EXPECT_TRUE(make_engine({.cells = 8}, 16, {})->name().starts_with("linear/"));
  EXPECT_TRUE(make_engine({.cells = 8, .heads = 2}, 16, {})->name().starts_with("quadratic/"));
  EXPECT_THROW(make_engine({.cells = 8}, 16, {.kind = "flash"}), base::UsageError);
}

}  // namespace
}  // namespace mgrn::model
