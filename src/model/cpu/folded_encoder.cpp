// SPDX-License-Identifier: Apache-2.0
#include "model/cpu/folded_encoder.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "multigrnformer/base/error.hpp"

namespace mgrn::model::cpu {
namespace {

/// P: the k-th column is +1 in its first k + 1 rows and -(k + 1) in the next, to length 1 (Helmert).
std::vector<double> centred_basis(int width) {
  const int coordinates = width - 1;
  std::vector<double> basis(static_cast<std::size_t>(width * coordinates));
  for (int k = 0; k < coordinates; ++k) {
    const double length = std::sqrt((k + 1.0) * (k + 2.0));
    for (int c = 0; c <= k + 1; ++c)
      basis[static_cast<std::size_t>(c * coordinates + k)] = (c <= k ? 1.0 : -(k + 1.0)) / length;
  }
  return basis;
}

void transpose(const float* matrix, int rows, int columns, float* transposed) {
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) transposed[c * rows + r] = matrix[r * columns + c];
  }
}

/// No input of a unit is larger: y has length sqrt(width) at most, and what rounding adds is allowed for.
std::uint8_t gelu_range(const float* weight, float bias, int width) {
  double squares = 0, total = 0;
  for (int a = 0; a < width - 1; ++a) {
    squares += static_cast<double>(weight[a]) * static_cast<double>(weight[a]);
    total += std::fabs(static_cast<double>(weight[a]));
  }
  const double bound = std::fabs(static_cast<double>(bias)) + std::sqrt(width * squares) + 1e-4 * (total + 1);
  std::uint8_t range = 0;
  // What is not a number is within none.
  while (range + 1 < kGeluRanges && !(bound <= static_cast<double>(kGeluLimits[range]))) ++range;
  return range;
}

std::size_t folded_floats(const Dimensions& d) {
  const auto dense = [](int outs, int ins) { return static_cast<std::size_t>(2 * outs * ins + outs); };
  const int width = d.width;
  const std::size_t layer = dense(3 * width, width) + dense(3 * width, width) + 2 * dense(width, width) +
                            3 * dense(d.inner, width) + 3 * dense(width, width);
  return static_cast<std::size_t>(d.layers) * layer + 2 * dense(width, width);
}

}  // namespace

FoldedEncoder::FoldedEncoder(const Dimensions& dimensions, bool dropout)
    : dims_(dimensions),
      coordinates_(dimensions.width - 1),
      dropout_(dropout),
      basis_(centred_basis(dimensions.width)),
      floats_(folded_floats(dimensions)),
      gelu_ranges_(static_cast<std::size_t>(dimensions.layers * dimensions.inner)),
      layers_(static_cast<std::size_t>(dimensions.layers)),
      layer_sums_(layers_.size()),
      norm_gradients_(layers_.size() * 4 * static_cast<std::size_t>(dimensions.width)) {
  const int width = dims_.width;
  const int rows = dropout ? width : coordinates_;
  for (int layer = 0; layer < dims_.layers; ++layer) {
    const int ins = layer == 0 ? width : coordinates_;
    places_.push_back({.in_weight = place(3 * width * ins),
                       .in_bias = place(3 * width),
                       .out_weight = place(rows * width),
                       .out_bias = place(rows),
                       .inner_weight = place(dims_.inner * coordinates_),
                       .inner_bias = place(dims_.inner),
                       .outer_weight = place(rows * dims_.inner),
                       .outer_bias = place(rows),
                       .past_attention = place(coordinates_ * coordinates_),
                       .past_attention_bias = place(coordinates_),
                       .past_feed_forward = place(coordinates_ * coordinates_),
                       .past_feed_forward_bias = place(coordinates_)});
  }
  flat_weight_ = place(width * coordinates_);
  flat_bias_ = place(width);
}

std::size_t FoldedEncoder::place(int size) {
  const std::size_t at = sums_size_;
  sums_size_ += static_cast<std::size_t>(size);
  return at;
}

EncoderSums FoldedEncoder::place_sums(float* base, int lanes) {
  const auto at = [&](std::size_t place) { return base + place * static_cast<std::size_t>(lanes); };
  for (std::size_t layer = 0; layer < places_.size(); ++layer) {
    const Places& p = places_[layer];
    layer_sums_[layer] = {.in_weight = at(p.in_weight),
                          .in_bias = at(p.in_bias),
                          .out_weight = at(p.out_weight),
                          .out_bias = at(p.out_bias),
                          .inner_weight = at(p.inner_weight),
                          .inner_bias = at(p.inner_bias),
                          .outer_weight = at(p.outer_weight),
                          .outer_bias = at(p.outer_bias),
                          .past_attention = at(p.past_attention),
                          .past_attention_bias = at(p.past_attention_bias),
                          .past_feed_forward = at(p.past_feed_forward),
                          .past_feed_forward_bias = at(p.past_feed_forward_bias)};
  }
  return {.layers = layer_sums_.data(), .flat_weight = at(flat_weight_), .flat_bias = at(flat_bias_)};
}

std::size_t FoldedEncoder::at(const Parameters& parameters, int layer, LayerTensor tensor) {
  return parameters.views()[static_cast<std::size_t>(layer) * kLayerTensors + tensor].offset;
}

FoldedEncoder::Norm FoldedEncoder::norm(const Parameters& parameters, int layer, LayerTensor scale) {
  const float* values = parameters.values().data();
  return {values + at(parameters, layer, scale),
          values + at(parameters, layer, static_cast<LayerTensor>(scale + 1))};
}

FoldedEncoder::NormGradient FoldedEncoder::norm_gradient(int layer, LayerTensor scale) {
  double* first = norm_gradients_.data() + (4 * layer + (scale == kNorm1Weight ? 0 : 2)) * dims_.width;
  return {first, first + dims_.width};
}

float* FoldedEncoder::take(int floats) {
  float* const piece = floats_.data() + taken_;
  taken_ += static_cast<std::size_t>(floats);
  if (taken_ > floats_.size()) {
    throw base::InternalError({.what = "folded weights have less room than they need",
                               .expected = std::to_string(taken_) + " floats",
                               .got = std::to_string(floats_.size()),
                               .hint = "Report this as a defect."});
  }
  return piece;
}

DenseWeights FoldedEncoder::plain(int outs, int ins, const float* weight, const float* bias) {
  float* const transposed = take(outs * ins);
  transpose(weight, outs, ins, transposed);
  return {.weight = weight, .weight_t = transposed, .bias = bias};
}

DenseWeights FoldedEncoder::behind(int outs, const float* weight, const float* bias, const Norm& norm) {
  const int width = dims_.width;
  float* const folded = take(outs * coordinates_);
  float* const folded_bias = take(outs);
  for (int o = 0; o < outs; ++o) {
    const float* const row = weight + o * width;
    double total = bias[o];
    for (int c = 0; c < width; ++c) total += static_cast<double>(row[c]) * static_cast<double>(norm.shift[c]);
    folded_bias[o] = static_cast<float>(total);
    for (int a = 0; a < coordinates_; ++a) {
      double along = 0;
      for (int c = 0; c < width; ++c)
        along += static_cast<double>(row[c]) * static_cast<double>(norm.scale[c]) * basis(c, a);
      folded[o * coordinates_ + a] = static_cast<float>(along);
    }
  }
  return plain(outs, coordinates_, folded, folded_bias);
}

void FoldedEncoder::behind_backward(int outs, const float* folded, const float* folded_bias,
                                    const float* weight, const Norm& norm, float* gradient,
                                    float* bias_gradient, const NormGradient& of_norm) const {
  const int width = dims_.width;
  for (int o = 0; o < outs; ++o) {
    const double bias = folded_bias[o];
    bias_gradient[o] = folded_bias[o];
    for (int c = 0; c < width; ++c) {
      const double along = column(c, folded + o * coordinates_, 1);
      const double scale = norm.scale[c], shift = norm.shift[c], own = weight[o * width + c];
      gradient[o * width + c] = static_cast<float>(along * scale + bias * shift);
      of_norm.scale[c] += along * own;
      of_norm.shift[c] += bias * own;
    }
  }
}

DenseWeights FoldedEncoder::before(int ins, const float* weight, const float* bias, const float* past_bias) {
  float* const folded = take(coordinates_ * ins);
  float* const folded_bias = take(coordinates_);
  for (int a = 0; a < coordinates_; ++a) {
    folded_bias[a] = static_cast<float>(coordinate(a, bias, 1, past_bias[a]));
    for (int i = 0; i < ins; ++i) folded[a * ins + i] = static_cast<float>(coordinate(a, weight + i, ins));
  }
  return plain(coordinates_, ins, folded, folded_bias);
}

void FoldedEncoder::before_backward(int ins, const float* folded, const float* folded_bias, float* gradient,
                                    float* bias_gradient) const {
  for (int c = 0; c < dims_.width; ++c) {
    bias_gradient[c] = static_cast<float>(column(c, folded_bias, 1));
    for (int i = 0; i < ins; ++i) gradient[c * ins + i] = static_cast<float>(column(c, folded + i, ins));
  }
}

const float* FoldedEncoder::past(const Norm& norm) {
  float* const folded = take(coordinates_ * coordinates_);
  for (int a = 0; a < coordinates_; ++a) {
    for (int b = 0; b < coordinates_; ++b) {
      double total = 0;
      for (int c = 0; c < dims_.width; ++c)
        total += basis(c, a) * static_cast<double>(norm.scale[c]) * basis(c, b);
      folded[a * coordinates_ + b] = static_cast<float>(total);
    }
  }
  return folded;
}

const float* FoldedEncoder::past_bias(const Norm& norm) {
  float* const folded = take(coordinates_);
  for (int a = 0; a < coordinates_; ++a) folded[a] = static_cast<float>(coordinate(a, norm.shift, 1));
  return folded;
}

void FoldedEncoder::past_backward(const float* folded, const float* folded_bias,
                                  const NormGradient& of_norm) const {
  for (int c = 0; c < dims_.width; ++c) {
    for (int b = 0; b < coordinates_; ++b)
      of_norm.scale[c] += column(c, folded + b, coordinates_) * basis(c, b);
    of_norm.shift[c] += column(c, folded_bias, 1);
  }
}

double FoldedEncoder::column(int c, const float* coordinates, int stride) const {
  double total = 0;
  for (int a = 0; a < coordinates_; ++a) total += basis(c, a) * static_cast<double>(coordinates[a * stride]);
  return total;
}

double FoldedEncoder::coordinate(int a, const float* columns, int stride, double start) const {
  for (int c = 0; c < dims_.width; ++c) start += basis(c, a) * static_cast<double>(columns[c * stride]);
  return start;
}

void FoldedEncoder::fold(const Parameters& parameters) {
  const int width = dims_.width, inner = dims_.inner;
  taken_ = 0;
  float* const basis = take(width * coordinates_);
  std::transform(basis_.begin(), basis_.end(), basis, [](double value) { return static_cast<float>(value); });
  const DenseWeights columns = plain(width, coordinates_, basis, nullptr);
  for (int layer = 0; layer < dims_.layers; ++layer) {
    LayerWeights& w = layers_[static_cast<std::size_t>(layer)];
    const auto own = [&](LayerTensor tensor) {
      return parameters.values().data() + at(parameters, layer, tensor);
    };
    if (layer == 0) {
      // What it reads is no norm's, and turned into coordinates as it is.
      w.in = {.weight = own(kInWeight), .weight_t = nullptr, .bias = own(kInBias)};
      float* const identity = take(coordinates_ * coordinates_);
      std::fill_n(identity, coordinates_ * coordinates_, 0.0f);
      for (int a = 0; a < coordinates_; ++a) identity[a * coordinates_ + a] = 1.0f;
      float* const zero = take(coordinates_);
      std::fill_n(zero, coordinates_, 0.0f);
      w.past_attention = identity;
      w.past_attention_bias = zero;
    } else {
      const Norm below = norm(parameters, layer - 1, kNorm2Weight);
      w.in = behind(3 * width, own(kInWeight), own(kInBias), below);
      w.past_attention = past(below);
      w.past_attention_bias = past_bias(below);
    }
    w.in.weight = scaled_queries(w.in.weight, layer == 0 ? width : coordinates_);
    w.in.bias = scaled_queries(w.in.bias, 1);
    const Norm middle = norm(parameters, layer, kNorm1Weight);
    w.past_feed_forward = past(middle);
    w.past_feed_forward_bias = past_bias(middle);
    w.inner = behind(inner, own(kInnerWeight), own(kInnerBias), middle);
    w.dropped_out = plain(width, width, own(kOutWeight), own(kOutBias));
    w.dropped_outer = plain(width, inner, own(kOuterWeight), own(kOuterBias));
    w.out = before(width, w.dropped_out.weight, w.dropped_out.bias, w.past_attention_bias);
    w.outer = before(inner, w.dropped_outer.weight, w.dropped_outer.bias, w.past_feed_forward_bias);
    std::uint8_t* const ranges = gelu_ranges_.data() + layer * inner;
    for (int unit = 0; unit < inner; ++unit)
      ranges[unit] = gelu_range(w.inner.weight + unit * coordinates_, w.inner.bias[unit], width);
    w.gelu_range = ranges;
  }
  const Norm last = norm(parameters, dims_.layers - 1, kNorm2Weight);
  float* const flat = take(width * coordinates_);
  for (int c = 0; c < width; ++c) {
    for (int a = 0; a < coordinates_; ++a)
      flat[c * coordinates_ + a] = static_cast<float>(static_cast<double>(last.scale[c]) * this->basis(c, a));
  }
  weights_ = {.layers = layers_.data(),
              .flat = plain(width, coordinates_, flat, last.shift),
              .basis = columns.weight,
              .basis_t = columns.weight_t};
}

const float* FoldedEncoder::scaled_queries(const float* rows, int ins) {
  if (dims_.query_scale == 1.0f) return rows;
  float* const scaled = take(3 * dims_.width * ins);
  for (int i = 0; i < 3 * dims_.width * ins; ++i)
    scaled[i] = rows[i] * (i < dims_.width * ins ? dims_.query_scale : 1.0f);
  return scaled;
}

void FoldedEncoder::unfold(std::span<float> sums, const Parameters& parameters, std::span<float> gradient) {
  const int width = dims_.width, inner = dims_.inner;
  std::fill(norm_gradients_.begin(), norm_gradients_.end(), 0.0);
  const NormGradient last = norm_gradient(dims_.layers - 1, kNorm2Weight);
  for (int c = 0; c < width; ++c) {
    last.scale[c] = column(c, sums.data() + flat_weight_ + c * coordinates_, 1);
    last.shift[c] = static_cast<double>(sums[flat_bias_ + static_cast<std::size_t>(c)]);
  }
  for (int layer = dims_.layers - 1; layer >= 0; --layer) {
    const Places& p = places_[static_cast<std::size_t>(layer)];
    const auto sum = [&](std::size_t place) { return sums.data() + place; };
    const auto to = [&](LayerTensor tensor) { return gradient.data() + at(parameters, layer, tensor); };
    const auto own = [&](LayerTensor tensor) {
      return parameters.values().data() + at(parameters, layer, tensor);
    };
    const NormGradient middle = norm_gradient(layer, kNorm1Weight);
    past_backward(sum(p.past_feed_forward), sum(p.past_feed_forward_bias), middle);
    behind_backward(inner, sum(p.inner_weight), sum(p.inner_bias), own(kInnerWeight),
                    norm(parameters, layer, kNorm1Weight), to(kInnerWeight), to(kInnerBias), middle);
    if (dropout_) {
      std::copy_n(sum(p.out_weight), width * width, to(kOutWeight));
      std::copy_n(sum(p.out_bias), width, to(kOutBias));
      std::copy_n(sum(p.outer_weight), width * inner, to(kOuterWeight));
      std::copy_n(sum(p.outer_bias), width, to(kOuterBias));
    } else {
      before_backward(width, sum(p.out_weight), sum(p.past_attention_bias), to(kOutWeight), to(kOutBias));
      before_backward(inner, sum(p.outer_weight), sum(p.past_feed_forward_bias), to(kOuterWeight),
                      to(kOuterBias));
    }
    // Softmax does not see a shift of all keys, so the key bias has no gradient; what the sums hold is
    // rounding, which Adam would scale up to full steps.
    for (float& key_bias :
         sums.subspan(p.in_bias + static_cast<std::size_t>(width), static_cast<std::size_t>(width))) {
      if (std::isfinite(key_bias)) key_bias = 0.0f;
    }
    if (layer == 0) {
      std::copy_n(sum(p.in_weight), 3 * width * width, to(kInWeight));
      std::copy_n(sum(p.in_bias), 3 * width, to(kInBias));
    } else {
      const NormGradient below = norm_gradient(layer - 1, kNorm2Weight);
      past_backward(sum(p.past_attention), sum(p.past_attention_bias), below);
      behind_backward(3 * width, sum(p.in_weight), sum(p.in_bias), own(kInWeight),
                      norm(parameters, layer - 1, kNorm2Weight), to(kInWeight), to(kInBias), below);
    }
    for (const LayerTensor scale : {kNorm1Weight, kNorm2Weight}) {
      const NormGradient of_norm = norm_gradient(layer, scale);
      for (int c = 0; c < width; ++c) {
        to(scale)[c] = static_cast<float>(of_norm.scale[c]);
        to(static_cast<LayerTensor>(scale + 1))[c] = static_cast<float>(of_norm.shift[c]);
      }
    }
  }
}

}  // namespace mgrn::model::cpu
