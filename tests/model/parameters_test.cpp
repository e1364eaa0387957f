// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/model/parameters.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "model/positions.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::model {
namespace {

TEST(Parameters, CarryTheNamesAndShapesOfTorchEncoderLayers) {
  const Parameters parameters(Shape{.cells = 10, .width = 4, .heads = 4, .layers = 2, .hidden = 7});
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> expected;
  for (const std::string layer : {"encoder.layers.0.", "encoder.layers.1."}) {
    expected.insert(expected.end(), {{layer + "self_attn.in_proj_weight", {12, 4}},
                                     {layer + "self_attn.in_proj_bias", {12}},
                                     {layer + "self_attn.out_proj.weight", {4, 4}},
                                     {layer + "self_attn.out_proj.bias", {4}},
                                     {layer + "linear1.weight", {16, 4}},
                                     {layer + "linear1.bias", {16}},
                                     {layer + "linear2.weight", {4, 16}},
                                     {layer + "linear2.bias", {4}},
                                     {layer + "norm1.weight", {4}},
                                     {layer + "norm1.bias", {4}},
                                     {layer + "norm2.weight", {4}},
                                     {layer + "norm2.bias", {4}}});
  }
  expected.insert(expected.end(), {{"predictor.0.weight", {7, 40}},
                                   {"predictor.0.bias", {7}},
                                   {"predictor.2.weight", {1, 7}},
                                   {"predictor.2.bias", {1}}});
  ASSERT_EQ(parameters.views().size(), expected.size());
  std::size_t end = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const ParameterView& view = parameters.views()[i];
    EXPECT_EQ(view.name, expected[i].first);
    EXPECT_EQ(view.shape, expected[i].second);
    EXPECT_EQ(view.offset % 16, 0u) << "views start on 64 bytes";
    EXPECT_GE(view.offset, end) << "views do not overlap";
    EXPECT_EQ(view.predictor, view.name.starts_with("predictor."));
    end = view.offset + view.size;
  }
  EXPECT_GE(parameters.values().size(), end);
  EXPECT_THROW(static_cast<void>(parameters.view("encoder.layers.2.norm1.bias")), base::InternalError);
}

TEST(Parameters, InitialWeightsFollowTorchDistributions) {
  Parameters parameters(Shape{.cells = 500, .hidden = 128});
  initialise(parameters, 7);
  const auto expect_uniform = [&](const std::string& name, double bound) {
    const auto values = parameters.tensor(name);
    double square = 0;
    double largest = 0;
    for (const float value : values) {
      square += static_cast<double>(value) * value;
      largest = std::max(largest, std::fabs(static_cast<double>(value)));
    }
    EXPECT_LE(largest, bound) << name;
    EXPECT_GT(largest, 0.8 * bound) << name;
    const double variance = square / static_cast<double>(values.size());
    EXPECT_NEAR(variance / (bound * bound / 3), 1.0, 4.0 / std::sqrt(static_cast<double>(values.size())))
        << name;
  };
  expect_uniform("encoder.layers.0.self_attn.in_proj_weight", std::sqrt(6.0 / 16));
  expect_uniform("encoder.layers.0.self_attn.out_proj.weight", 0.5);
  expect_uniform("encoder.layers.1.linear1.weight", 0.5);
  expect_uniform("encoder.layers.1.linear1.bias", 0.5);
  expect_uniform("encoder.layers.1.linear2.weight", 0.25);
  expect_uniform("predictor.0.weight", 1 / std::sqrt(2000.0));
  expect_uniform("predictor.0.bias", 1 / std::sqrt(2000.0));
  expect_uniform("predictor.2.weight", 1 / std::sqrt(128.0));
  for (const float value : parameters.tensor("encoder.layers.0.self_attn.in_proj_bias"))
    EXPECT_EQ(value, 0.0f);
  for (const float value : parameters.tensor("encoder.layers.0.self_attn.out_proj.bias"))
    EXPECT_EQ(value, 0.0f);
  for (const float value : parameters.tensor("encoder.layers.0.norm2.weight")) EXPECT_EQ(value, 1.0f);
  for (const float value : parameters.tensor("encoder.layers.0.norm2.bias")) EXPECT_EQ(value, 0.0f);
}

TEST(Parameters, InitialWeightsDependOnSeedAndNameOnly) {
  const Shape shape{.cells = 20, .hidden = 8};
  Parameters first(shape), again(shape), other(shape), deeper(Shape{.cells = 20, .layers = 3, .hidden = 8});
  initialise(first, 1);
  initialise(again, 1);
  initialise(other, 2);
  initialise(deeper, 1);
  EXPECT_TRUE(std::ranges::equal(first.values(), again.values()));
  EXPECT_FALSE(std::ranges::equal(first.values(), other.values()));
  for (const ParameterView& view : first.views()) {
    EXPECT_TRUE(std::ranges::equal(first.tensor(view.name), deeper.tensor(view.name))) << view.name;
  }
  EXPECT_FALSE(std::ranges::equal(first.tensor("encoder.layers.0.linear1.weight"),
                                  first.tensor("encoder.layers.1.linear1.weight")));
}

TEST(Parameters, RefuseShapesByTheKeyAtFault) {
  const auto key_of = [](const Shape& shape) -> std::string {
    try {
      validate(shape);
    } catch (const base::UsageError& error) {
      EXPECT_FALSE(error.text().hint.empty());
      return error.text().file;
    }
    return "accepted";
  };
  EXPECT_EQ(key_of({}), "accepted");
  EXPECT_EQ(key_of({.cells = 0}), "model.cells");
  EXPECT_EQ(key_of({.width = 2, .heads = 2}), "model.width");
  EXPECT_EQ(key_of({.width = 5, .heads = 5}), "model.width");
  EXPECT_EQ(key_of({.width = 66, .heads = 2}), "model.width");
  EXPECT_EQ(key_of({.heads = 3}), "model.heads");
  EXPECT_EQ(key_of({.heads = 0}), "model.heads");
  EXPECT_EQ(key_of({.layers = 0}), "model.layers");
  EXPECT_EQ(key_of({.hidden = 0}), "model.hidden");
  EXPECT_EQ(key_of({.cells = 1'000'000, .hidden = 1024}), "model.cells, model.hidden");
}

TEST(Positions, FollowTheStandardAndThePaperFormula) {
  Shape shape{.cells = 3};
  const auto standard = positional_encoding(shape);
  EXPECT_EQ(std::vector<double>(standard.begin(), standard.begin() + 4), (std::vector<double>{0, 1, 0, 1}));
  EXPECT_DOUBLE_EQ(standard[2 * 4 + 0], std::sin(2.0));
  EXPECT_DOUBLE_EQ(standard[2 * 4 + 1], std::cos(2.0));
  EXPECT_DOUBLE_EQ(standard[2 * 4 + 2], std::sin(0.02));
  EXPECT_DOUBLE_EQ(standard[2 * 4 + 3], std::cos(0.02));
  shape.positions = Positions::paper;
  const auto paper = positional_encoding(shape);
  EXPECT_DOUBLE_EQ(paper[2 * 4 + 0], std::sin(2.0));
  EXPECT_DOUBLE_EQ(paper[2 * 4 + 1], std::cos(0.2));
  EXPECT_DOUBLE_EQ(paper[2 * 4 + 2], std::sin(0.02));
  EXPECT_DOUBLE_EQ(paper[2 * 4 + 3], std::cos(0.002));
  shape.positions = Positions::none;
  for (const double value : positional_encoding(shape)) EXPECT_EQ(value, 0.0);
}

}  // namespace
}  // namespace mgrn::model
