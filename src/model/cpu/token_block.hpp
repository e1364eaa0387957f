// SPDX-License-Identifier: Apache-2.0
// Small dense operations on a tile of cells: the cells lie along the lanes, so nothing here depends on the
// width being a multiple of anything. Everything is inlined into the encoder, which passes the usual width as
// a constant; loops over columns then unroll.
#pragma once

#include "model/cpu/kernels.hpp"
#include "model/cpu/simd.hpp"
#include "model/cpu/simd_math.hpp"

namespace mgrn::model::cpu {
namespace {

constexpr int kVectors = kTokenBlock / kLanes;  // of one row of a block
// And of as much of a row as goes together where there are registers for it: weights are then broadcast half
// as often, which else takes as many loads as the processor can do.
constexpr int kWideVectors = kLanes == 16 ? 2 * kVectors : kVectors;
// Rows computed together, so that at least eight independent sums hide the latency of a multiply-add.
constexpr int kRowTile = kLanes >= 8 ? kLanes / 4 : 1;

template <int kRows, int kCount, typename Start, typename Finish>
MGRN_INLINE void dense_rows(const float* weight, int ins, const float* in, int in_stride, Start start,
                            Finish finish) {
  Vector total[kRows][kCount];
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int v = 0; v < kCount; ++v) total[row][v] = start(row, v * kLanes);
  }
#pragma GCC unroll 4
  for (int i = 0; i < ins; ++i) {
    Vector w[kRows];
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) w[row] = splat(weight[row * ins + i]);
#pragma GCC unroll 8
    for (int v = 0; v < kCount; ++v) {
      const Vector x =
          kRows > 1 ? load_once(in + i * in_stride + v * kLanes) : load(in + i * in_stride + v * kLanes);
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) total[row][v] = fma(w[row], x, total[row][v]);
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int v = 0; v < kCount; ++v) finish(row, v * kLanes, total[row][v]);
  }
}

template <int kCount, typename Start, typename Finish>
MGRN_INLINE void dense_columns(const float* weight, int outs, int ins, const float* in, int in_stride, int n,
                               Start start, Finish finish) {
  int o = 0;
  for (; o + kRowTile <= outs; o += kRowTile) {
    dense_rows<kRowTile, kCount>(
        weight + o * ins, ins, in + n, in_stride, [&](int row, int v) { return start(o + row, n + v); },
        [&](int row, int v, Vector value) { finish(o + row, n + v, value); });
  }
  if (outs % kRowTile == 0) return;  // known when compiled for the usual width
  for (; o < outs; ++o) {
    dense_rows<1, kCount>(
        weight + o * ins, ins, in + n, in_stride, [&](int, int v) { return start(o, n + v); },
        [&](int, int v, Vector value) { finish(o, n + v, value); });
  }
}

/// finish(o, n, start(o, n) + sum_i weight[o][i] in[i]) for every row o and every vector of cells at n.
template <typename Start, typename Finish>
MGRN_INLINE void dense(const float* weight, int outs, int ins, const float* in, int in_stride, int cells,
                       Start start, Finish finish) {
  int n = 0;
  if constexpr (kWideVectors > kVectors) {
    for (; n + kWideVectors * kLanes <= cells; n += kWideVectors * kLanes) {
      dense_columns<kWideVectors>(weight, outs, ins, in, in_stride, n, start, finish);
    }
  }
  for (; n < cells; n += kTokenBlock) {
    dense_columns<kVectors>(weight, outs, ins, in, in_stride, n, start, finish);
  }
}

template <int kOuts, int kIns, bool kBias>
MGRN_INLINE void outer_tile(const float* g, int g_stride, const float* x, int x_stride, int ins, int cells,
                            float* weight_sums, float* bias_sums) {
  Vector total[kOuts][kIns] = {};
  Vector bias[kOuts] = {};
  for (int n = 0; n < cells; n += kLanes) {
    Vector right[kIns];
#pragma GCC unroll 4
    for (int i = 0; i < kIns; ++i) right[i] = load_once(x + i * x_stride + n);
#pragma GCC unroll 4
    for (int o = 0; o < kOuts; ++o) {
      const Vector left = load(g + o * g_stride + n);
      if constexpr (kBias) bias[o] += left;
#pragma GCC unroll 4
      for (int i = 0; i < kIns; ++i) total[o][i] = fma(left, right[i], total[o][i]);
    }
  }
#pragma GCC unroll 4
  for (int o = 0; o < kOuts; ++o) {
#pragma GCC unroll 4
    for (int i = 0; i < kIns; ++i) {
      float* sum = weight_sums + (o * ins + i) * kLanes;
      store(sum, load(sum) + total[o][i]);
    }
    if constexpr (kBias) store(bias_sums + o * kLanes, load(bias_sums + o * kLanes) + bias[o]);
  }
}

template <int kOuts>
MGRN_INLINE void outer_rows(const float* g, int g_stride, const float* x, int x_stride, int ins, int cells,
                            float* weight_sums, float* bias_sums) {
  int i = 0;
  if (ins >= 4) {
    outer_tile<kOuts, 4, true>(g, g_stride, x, x_stride, ins, cells, weight_sums, bias_sums);
    i = 4;
  } else {
    outer_tile<kOuts, 2, true>(g, g_stride, x, x_stride, ins, cells, weight_sums, bias_sums);
    i = 2;
  }
  for (; i + 4 <= ins; i += 4) {
    outer_tile<kOuts, 4, false>(g, g_stride, x + i * x_stride, x_stride, ins, cells, weight_sums + i * kLanes,
                                bias_sums);
  }
  for (; i < ins; i += 2) {
    outer_tile<kOuts, 2, false>(g, g_stride, x + i * x_stride, x_stride, ins, cells, weight_sums + i * kLanes,
                                bias_sums);
  }
}

/// Weight and bias gradient of a dense layer: weight_sums[o][i] += g[o] x[i], bias_sums[o] += g[o], lane by
/// lane. outs and ins are even, as all widths of the encoder are.
MGRN_INLINE void outer(const float* g, int g_stride, int outs, const float* x, int x_stride, int ins,
                       int cells, float* weight_sums, float* bias_sums) {
  int o = 0;
  // Sixteen sums and their operands fit 32 registers.
  if constexpr (kLanes == 16) {
    for (; o + 4 <= outs; o += 4) {
      outer_rows<4>(g + o * g_stride, g_stride, x, x_stride, ins, cells, weight_sums + o * ins * kLanes,
                    bias_sums + o * kLanes);
    }
  }
  for (; o < outs; o += 2) {
    outer_rows<2>(g + o * g_stride, g_stride, x, x_stride, ins, cells, weight_sums + o * ins * kLanes,
                  bias_sums + o * kLanes);
  }
}

/// A tile of a row, towards the first-level cache. No more of them at once: a processor seems to drop
/// those that it has no room for.
MGRN_INLINE void fetch_row(const float* row) {
  constexpr int kLine = 16;
#pragma GCC unroll 8
  for (int n = 0; n < kTile; n += kLine) __builtin_prefetch(row + n);
}

MGRN_INLINE void copy_rows(const float* from, int from_stride, int rows, int cells, float* to,
                           int to_stride) {
  for (int c = 0; c < rows; ++c) {
    for (int n = 0; n < cells; n += kLanes) store(to + c * to_stride + n, load(from + c * from_stride + n));
  }
}

/// to += from
MGRN_INLINE void add_rows(const float* from, int from_stride, int rows, int cells, float* to, int to_stride) {
  for (int c = 0; c < rows; ++c) {
    for (int n = 0; n < cells; n += kLanes) {
      float* at = to + c * to_stride + n;
      store(at, load(at) + load(from + c * from_stride + n));
    }
  }
}

/// x[column][kTile] *= scale where the column's mask words have the cell's bit, else 0. A word covers
/// kTokenBlock cells.
inline void apply_mask(float* x, int columns, int cells, const std::uint32_t* words, int words_per_column,
                       float scale) {
  Integers bit{};
  for (int lane = 0; lane < kLanes; ++lane) bit[lane] = std::int32_t{1} << lane;
  for (int column = 0; column < columns; ++column) {
    for (int n = 0; n < cells; n += kLanes) {
      const std::uint32_t word = words[column * words_per_column + n / kTokenBlock];
      const Integers lanes = Integers{} + static_cast<std::int32_t>(word >> (n % kTokenBlock));
      float* at = x + column * kTile + n;
      store(at, (lanes & bit) != 0 ? load(at) * scale : Vector{});
    }
  }
}

/// LayerNorm over the columns of x [width][kTile]: normalised values, 1 / standard deviation, and
/// out = weight * normalised + bias. PyTorch's epsilon.
MGRN_INLINE void layer_norm(const float* x, int width, int cells, const float* weight, const float* bias,
                            float* normalised, int stride, float* scale, float* out, int out_stride) {
  const float share = 1.0f / static_cast<float>(width);
  constexpr int kCount = 2;
  for (int n = 0; n < cells; n += kCount * kLanes) {
    Vector mean[kCount] = {}, variance[kCount] = {}, rescale[kCount];
    for (int c = 0; c < width; ++c) {
      MGRN_EACH(u) mean[u] += load(x + c * kTile + n + u * kLanes);
    }
    for (Vector& one : mean) one *= share;
    for (int c = 0; c < width; ++c) {
      MGRN_EACH(u) {
        const Vector difference = load(x + c * kTile + n + u * kLanes) - mean[u];
        variance[u] = fma(difference, difference, variance[u]);
      }
    }
    MGRN_EACH(u) {
      rescale[u] = 1.0f / square_root(fma(variance[u], splat(share), splat(1e-5f)));
      store(scale + n + u * kLanes, rescale[u]);
    }
    for (int c = 0; c < width; ++c) {
      const Vector factor = splat(weight[c]), offset = splat(bias[c]);
      MGRN_EACH(u) {
        const int at = n + u * kLanes;
        const Vector value = (load(x + c * kTile + at) - mean[u]) * rescale[u];
        store(normalised + c * stride + at, value);
        store(out + c * out_stride + at, fma(value, factor, offset));
      }
    }
  }
}

/// gradient [width] (of the norm's output) -> result (of its input); adds to the sums of weight and bias.
MGRN_INLINE void layer_norm_backward(const float* gradient, int gradient_stride, int width, int cells,
                                     const float* weight, const float* normalised, int stride,
                                     const float* scale, float* result, int result_stride, float* weight_sums,
                                     float* bias_sums) {
  const float share = 1.0f / static_cast<float>(width);
  for (int c = 0; c < width; ++c) {
    Vector weight_sum{};
    Vector bias_sum{};
    for (int block = 0; block < cells; block += kTokenBlock) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const int n = block + v * kLanes;
        const Vector g = load(gradient + c * gradient_stride + n);
        weight_sum = fma(g, load(normalised + c * stride + n), weight_sum);
        bias_sum += g;
      }
    }
    store(weight_sums + c * kLanes, load(weight_sums + c * kLanes) + weight_sum);
    store(bias_sums + c * kLanes, load(bias_sums + c * kLanes) + bias_sum);
  }
  constexpr int kCount = 2;
  for (int n = 0; n < cells; n += kCount * kLanes) {
    Vector mean[kCount] = {}, along[kCount] = {};
    for (int c = 0; c < width; ++c) {
      const Vector factor = splat(weight[c]);
      MGRN_EACH(u) {
        const Vector g = load(gradient + c * gradient_stride + n + u * kLanes) * factor;
        mean[u] += g;
        along[u] = fma(g, load(normalised + c * stride + n + u * kLanes), along[u]);
      }
    }
    MGRN_EACH(u) {
      mean[u] *= share;
      along[u] *= share;
    }
    for (int c = 0; c < width; ++c) {
      const Vector factor = splat(weight[c]);
      MGRN_EACH(u) {
        const int at = n + u * kLanes;
        const Vector g = load(gradient + c * gradient_stride + at) * factor;
        const Vector value = (g - mean[u]) - load(normalised + c * stride + at) * along[u];
        store(result + c * result_stride + at, value * load(scale + at));
      }
    }
  }
}

/// weight * normalised + bias
MGRN_INLINE void denormalise(const float* normalised, int stride, int width, int cells, const float* weight,
                             const float* bias, float* result) {
  for (int c = 0; c < width; ++c) {
    for (int n = 0; n < cells; n += kLanes) {
      store(result + c * kTile + n, fma(load(normalised + c * stride + n), splat(weight[c]), splat(bias[c])));
    }
  }
}

}  // namespace
}  // namespace mgrn::model::cpu
