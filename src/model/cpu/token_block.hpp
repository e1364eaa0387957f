// SPDX-License-Identifier: Apache-2.0
// Small dense operations on one block of kTokenBlock cells: the cells lie along the lanes, so nothing here
// depends on the width being a multiple of anything.
#pragma once

#include "model/cpu/kernels.hpp"
#include "model/cpu/simd.hpp"

namespace mgrn::model::cpu {
namespace {

constexpr int kVectors = kTokenBlock / kLanes;  // of one row of a block
// Rows computed together, so that at least eight independent sums hide the latency of a multiply-add.
constexpr int kRowTile = kLanes >= 8 ? kLanes / 4 : 1;

template <int kRows, bool kAdd>
inline void dense_rows(const float* weight, const float* bias, int ins, const float* in, int in_stride,
                       float* out, int out_stride) {
  Vector total[kRows][kVectors];
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      total[row][v] = kAdd ? load(out + row * out_stride + v * kLanes) : splat(bias[row]);
    }
  }
  for (int i = 0; i < ins; ++i) {
    Vector w[kRows];
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) w[row] = splat(weight[row * ins + i]);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const Vector x = load(in + i * in_stride + v * kLanes);
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) total[row][v] = fma(w[row], x, total[row][v]);
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) store(out + row * out_stride + v * kLanes, total[row][v]);
  }
}

/// out[o] = bias[o] + sum_i weight[o][i] in[i]
inline void dense(const float* weight, const float* bias, int outs, int ins, const float* in, int in_stride,
                  float* out, int out_stride) {
  int o = 0;
  for (; o + kRowTile <= outs; o += kRowTile) {
    dense_rows<kRowTile, false>(weight + o * ins, bias + o, ins, in, in_stride, out + o * out_stride,
                                out_stride);
  }
  for (; o < outs; ++o) {
    dense_rows<1, false>(weight + o * ins, bias + o, ins, in, in_stride, out + o * out_stride, out_stride);
  }
}

/// out[o] += sum_i weight[o][i] in[i]
inline void dense_add(const float* weight, int outs, int ins, const float* in, int in_stride, float* out,
                      int out_stride) {
  int o = 0;
  for (; o + kRowTile <= outs; o += kRowTile) {
    dense_rows<kRowTile, true>(weight + o * ins, nullptr, ins, in, in_stride, out + o * out_stride,
                               out_stride);
  }
  for (; o < outs; ++o) {
    dense_rows<1, true>(weight + o * ins, nullptr, ins, in, in_stride, out + o * out_stride, out_stride);
  }
}

template <int kOuts, int kIns>
inline void outer_tile(const float* g, int g_stride, const float* x, int x_stride, float* sums, int ins) {
  Vector total[kOuts][kIns];
#pragma GCC unroll 4
  for (int o = 0; o < kOuts; ++o) {
#pragma GCC unroll 4
    for (int i = 0; i < kIns; ++i) total[o][i] = load(g + o * g_stride) * load(x + i * x_stride);
  }
#pragma GCC unroll 8
  for (int v = 1; v < kVectors; ++v) {
#pragma GCC unroll 4
    for (int o = 0; o < kOuts; ++o) {
      const Vector left = load(g + o * g_stride + v * kLanes);
#pragma GCC unroll 4
      for (int i = 0; i < kIns; ++i)
        total[o][i] = fma(left, load(x + i * x_stride + v * kLanes), total[o][i]);
    }
  }
#pragma GCC unroll 4
  for (int o = 0; o < kOuts; ++o) {
#pragma GCC unroll 4
    for (int i = 0; i < kIns; ++i) {
      float* sum = sums + (o * ins + i) * kLanes;
      store(sum, load(sum) + total[o][i]);
    }
  }
}

template <int kOuts>
inline void outer_rows(const float* g, int g_stride, const float* x, int x_stride, int ins, float* sums) {
  int i = 0;
  for (; i + 4 <= ins; i += 4) {
    outer_tile<kOuts, 4>(g, g_stride, x + i * x_stride, x_stride, sums + i * kLanes, ins);
  }
  for (; i + 2 <= ins; i += 2) {
    outer_tile<kOuts, 2>(g, g_stride, x + i * x_stride, x_stride, sums + i * kLanes, ins);
  }
}

/// Weight and bias gradient of a dense layer: weight_sums[o][i] += g[o] x[i], bias_sums[o] += g[o], lane by
/// lane. outs and ins are even, as all widths of the encoder are.
inline void outer(const float* g, int g_stride, int outs, const float* x, int x_stride, int ins,
                  float* weight_sums, float* bias_sums) {
  for (int o = 0; o < outs; o += 2) {
    outer_rows<2>(g + o * g_stride, g_stride, x, x_stride, ins, weight_sums + o * ins * kLanes);
  }
  for (int o = 0; o < outs; ++o) {
    Vector total = load(g + o * g_stride);
    for (int v = 1; v < kVectors; ++v) total += load(g + o * g_stride + v * kLanes);
    store(bias_sums + o * kLanes, load(bias_sums + o * kLanes) + total);
  }
}

/// x[column] *= scale where the column's mask word has the cell's bit, else 0.
inline void apply_mask(float* x, int columns, const std::uint32_t* words, int word_stride, float scale) {
  Integers bit{};
  for (int lane = 0; lane < kLanes; ++lane) bit[lane] = std::int32_t{1} << lane;
  for (int column = 0; column < columns; ++column) {
    const std::uint32_t word = words[column * word_stride];
    for (int v = 0; v < kVectors; ++v) {
      const Integers lanes = Integers{} + static_cast<std::int32_t>(word >> (v * kLanes));
      float* at = x + column * kTokenBlock + v * kLanes;
      store(at, (lanes & bit) != 0 ? load(at) * scale : Vector{});
    }
  }
}

/// LayerNorm over the columns of x [width][kTokenBlock]: normalised values, 1 / standard deviation, and
/// out = weight * normalised + bias. PyTorch's epsilon.
inline void layer_norm(const float* x, int width, const float* weight, const float* bias, float* normalised,
                       int stride, float* scale, float* out, int out_stride) {
  const float share = 1.0f / static_cast<float>(width);
  for (int v = 0; v < kVectors; ++v) {
    const int at = v * kLanes;
    Vector mean{};
    for (int c = 0; c < width; ++c) mean += load(x + c * kTokenBlock + at);
    mean *= share;
    Vector variance{};
    for (int c = 0; c < width; ++c) {
      const Vector difference = load(x + c * kTokenBlock + at) - mean;
      variance = fma(difference, difference, variance);
    }
    const Vector rescale = 1.0f / square_root(fma(variance, splat(share), splat(1e-5f)));
    store(scale + at, rescale);
    for (int c = 0; c < width; ++c) {
      const Vector value = (load(x + c * kTokenBlock + at) - mean) * rescale;
      store(normalised + c * stride + at, value);
      store(out + c * out_stride + at, fma(value, splat(weight[c]), splat(bias[c])));
    }
  }
}

/// gradient [width] (of the norm's output) -> result (of its input); adds to the sums of weight and bias.
inline void layer_norm_backward(const float* gradient, int gradient_stride, int width, const float* weight,
                                const float* normalised, int stride, const float* scale, float* result,
                                int result_stride, float* weight_sums, float* bias_sums) {
  const float share = 1.0f / static_cast<float>(width);
  for (int c = 0; c < width; ++c) {
    Vector weight_sum{};
    Vector bias_sum{};
    for (int v = 0; v < kVectors; ++v) {
      const Vector g = load(gradient + c * gradient_stride + v * kLanes);
      weight_sum = fma(g, load(normalised + c * stride + v * kLanes), weight_sum);
      bias_sum += g;
    }
    store(weight_sums + c * kLanes, load(weight_sums + c * kLanes) + weight_sum);
    store(bias_sums + c * kLanes, load(bias_sums + c * kLanes) + bias_sum);
  }
  for (int v = 0; v < kVectors; ++v) {
    const int at = v * kLanes;
    Vector mean{};
    Vector along{};
    for (int c = 0; c < width; ++c) {
      const Vector g = load(gradient + c * gradient_stride + at) * weight[c];
      mean += g;
      along = fma(g, load(normalised + c * stride + at), along);
    }
    mean *= share;
    along *= share;
    const Vector rescale = load(scale + at);
    for (int c = 0; c < width; ++c) {
      const Vector g = load(gradient + c * gradient_stride + at) * weight[c];
      const Vector value = (g - mean) - load(normalised + c * stride + at) * along;
      store(result + c * result_stride + at, value * rescale);
    }
  }
}

}  // namespace
}  // namespace mgrn::model::cpu
