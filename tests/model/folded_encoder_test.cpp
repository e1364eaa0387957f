// SPDX-License-Identifier: Apache-2.0
// Folding layer norms into the dense layers beside them, and the gradient's way back, against differences:
// any sum of folded weights, each times a number, is a polynomial of a few of the model's weights, whose
// slope along one of them a symmetric difference gives.
#include "model/cpu/folded_encoder.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "multigrnformer/base/philox.hpp"

namespace mgrn::model::cpu {
namespace {

Dimensions dimensions_of(const Shape& shape) {
  Dimensions d;
  d.width = shape.width;
  d.heads = shape.heads;
  d.head_width = shape.width / shape.heads;
  d.inner = shape.feed_forward();
  d.layers = shape.layers;
  d.query_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(d.head_width)));
  return d;
}

struct Folding {
  int width, heads;
  bool dropout;
};

class FoldedEncoderOf : public testing::TestWithParam<Folding> {
 protected:
  FoldedEncoderOf() : parameters_(shape_), encoder_(dims_, GetParam().dropout) {
    for (float& value : parameters_.values()) value = static_cast<float>(random_.normal());
  }

  static Shape shape_of(const Folding& at) {
    Shape shape;
    shape.cells = 8;
    shape.width = at.width;
    shape.heads = at.heads;
    shape.layers = 2;
    shape.hidden = 1;
    return shape;
  }

  int coordinates() const { return shape_.width - 1; }

  /// The folded weights whose gradient the sums are, in the sums' order.
  std::vector<double> folded() {
    encoder_.fold(parameters_);
    const EncoderWeights& weights = encoder_.weights();
    const int width = shape_.width, inner = shape_.feed_forward(), c = coordinates();
    const bool dropout = GetParam().dropout;
    std::vector<double> values;
    const auto add = [&](const float* from, int count) { values.insert(values.end(), from, from + count); };
    for (int layer = 0; layer < shape_.layers; ++layer) {
      const LayerWeights& w = weights.layers[layer];
      const int ins = layer == 0 ? width : c;
      // The gradient is that of queries that are not scaled.
      for (int i = 0; i < 3 * width * ins; ++i)
        values.push_back(static_cast<double>(w.in.weight[i]) / (i < width * ins ? dims_.query_scale : 1.0f));
      // Nothing depends on a shift of all keys.
      for (int i = 0; i < 3 * width; ++i) {
        const bool key = i >= width && i < 2 * width;
        values.push_back(key ? 0.0
                             : static_cast<double>(w.in.bias[i]) / (i < width ? dims_.query_scale : 1.0f));
      }
      if (dropout) {
        add(w.dropped_out.weight, width * width);
        add(w.dropped_out.bias, width);
      } else {
        add(w.out.weight, c * width);
        values.insert(values.end(), static_cast<std::size_t>(c), 0.0);  // with the bias of what goes past
      }
      add(w.inner.weight, inner * c);
      add(w.inner.bias, inner);
      if (dropout) {
        add(w.dropped_outer.weight, width * inner);
        add(w.dropped_outer.bias, width);
      } else {
        add(w.outer.weight, c * inner);
        values.insert(values.end(), static_cast<std::size_t>(c), 0.0);
      }
      add(w.past_attention, c * c);
      add(dropout ? w.past_attention_bias : w.out.bias, c);
      add(w.past_feed_forward, c * c);
      add(dropout ? w.past_feed_forward_bias : w.outer.bias, c);
    }
    add(weights.flat.weight, width * c);
    add(weights.flat.bias, width);
    return values;
  }

  Shape shape_ = shape_of(GetParam());
  Dimensions dims_ = dimensions_of(shape_);
  base::PhiloxStream random_{3, 5};
  Parameters parameters_;
  FoldedEncoder encoder_;
};

TEST_P(FoldedEncoderOf, GivesTheGradientOfTheModelsWeights) {
  ASSERT_EQ(folded().size(), encoder_.sums_size());
  std::vector<float> factors(encoder_.sums_size());
  for (float& factor : factors) factor = static_cast<float>(random_.normal());
  const auto total = [&] {
    const std::vector<double> values = folded();
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) sum += values[i] * static_cast<double>(factors[i]);
    return sum;
  };
  std::vector<float> gradient(parameters_.values().size()), sums = factors;
  encoder_.fold(parameters_);
  encoder_.unfold(sums, parameters_, gradient);
  for (const ParameterView& view : parameters_.views()) {
    if (view.predictor) continue;
    for (std::size_t i = 0; i < view.size; ++i) {
      float& value = parameters_.values()[view.offset + i];
      const float before = value;
      value = before + 1.0f;
      const double above = total();
      value = before - 1.0f;
      const double below = total();
      value = before;
      EXPECT_NEAR(gradient[view.offset + i], 0.5 * (above - below), 1e-4) << view.name << " " << i;
    }
  }
}

TEST_P(FoldedEncoderOf, NormsGiveCoordinatesOfWhatHasNoMean) {
  encoder_.fold(parameters_);
  const EncoderWeights& weights = encoder_.weights();
  for (int a = 0; a < coordinates(); ++a) {
    double mean = 0;
    for (int c = 0; c < shape_.width; ++c) mean += static_cast<double>(weights.basis[c * coordinates() + a]);
    EXPECT_NEAR(mean, 0, 1e-6);
    for (int b = 0; b < coordinates(); ++b) {
      double product = 0;
      for (int c = 0; c < shape_.width; ++c) {
        EXPECT_EQ(weights.basis[c * coordinates() + a], weights.basis_t[a * shape_.width + c]);
        product += static_cast<double>(weights.basis[c * coordinates() + a]) *
                   static_cast<double>(weights.basis[c * coordinates() + b]);
      }
      EXPECT_NEAR(product, a == b ? 1 : 0, 1e-6);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Widths, FoldedEncoderOf,
                         testing::Values(Folding{4, 4, false}, Folding{4, 4, true}, Folding{4, 1, false},
                                         Folding{6, 3, false}, Folding{8, 8, true}));

}  // namespace
}  // namespace mgrn::model::cpu
