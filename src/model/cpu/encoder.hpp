// SPDX-License-Identifier: Apache-2.0
// One sample's way through the encoder and back: post-norm layers, H <- LayerNorm(H + MultiHead(H)),
// H <- LayerNorm(H + FFN(H)). Everything but attention works on tiles of cells that stay in the first-level
// cache; the feed-forward net's inner values are recomputed backward, which is cheaper than storing them.
//
// Attention's output is kept less its centre (see HeadPlan::value_middle): the output projection's bias takes
// the centre up, and its weight gradient gets the centre's share from the bias gradient, once per sample.
#pragma once

#include "model/cpu/attention_moments.hpp"
#include "model/cpu/attention_quadratic.hpp"
#include "model/cpu/gelu.hpp"
#include "model/cpu/token_block.hpp"

namespace mgrn::model::cpu {
namespace {

inline RowRange row_range(const Dimensions& d, const float* row) {
  constexpr int kCount = kSideBySide;
  Vector low[kCount], high[kCount], total[kCount] = {};
  MGRN_EACH(u) low[u] = high[u] = load(row);
  for (int n = 0; n < d.padded; n += kCount * kLanes) {
    MGRN_EACH(u) {
      const Vector x = load(row + n + u * kLanes);
      low[u] = at_most(x, low[u]);
      high[u] = at_least(x, high[u]);
      total[u] += x;
    }
  }
  for (int u = 1; u < kCount; ++u) {
    low[0] = at_most(low[u], low[0]);
    high[0] = at_least(high[u], high[0]);
    total[0] += total[u];
  }
  return {smallest(low[0]), largest(high[0]), sum(total[0]) / static_cast<float>(d.padded)};
}

inline void subtract(const Dimensions& d, float* row, float middle) {
  constexpr int kCount = kSideBySide;
  const Vector less = splat(-middle);
  for (int n = 0; n < d.padded; n += kCount * kLanes) {
    MGRN_EACH(u) store(row + n + u * kLanes, less + load(row + n + u * kLanes));
  }
}

/// product = a b, of rows
inline void multiply(const Dimensions& d, const float* a, const float* b, float* product) {
  constexpr int kCount = kSideBySide;
  for (int n = 0; n < d.padded; n += kCount * kLanes) {
    MGRN_EACH(u) store(product + n + u * kLanes, load(a + n + u * kLanes) * load(b + n + u * kLanes));
  }
}

/// state.qkv -> state.mixed and what the way back needs. Keys and values of scalar heads are centred in
/// place.
inline void attention(const Dimensions& d, const LayerState& state, const Scratch& scratch) {
  const int plane = d.width * d.padded;
  if (d.head_width == 1) {
    for (int head = 0; head < d.heads; ++head) {
      HeadPlan& plan = state.plan[head];
      float* q = state.qkv + head * d.padded;
      float* keys = q + plane;
      float* values = keys + plane;
      const RowRange key_range = row_range(d, keys);
      const RowRange value_range = row_range(d, values);
      plan.panels = 0;
      const float key_middle = 0.5f * (key_range.low + key_range.high);
      state.centre[head] = 0.5f * (value_range.low + value_range.high);
      subtract(d, keys, key_middle);
      subtract(d, values, state.centre[head]);
      // Not (high - low)/2: the half range must bound the rounded, centred keys.
      const float above = key_range.high - key_middle;
      const float below = key_middle - key_range.low;
      plan.key_half = above > below ? above : below;
      float* mixed = state.mixed + head * d.padded;
      float* slope = state.slope + head * d.padded;
      float* inverse_total = state.inverse_total + head * d.padded;
      bool done = false;
      if (d.linear) {
        const RowRange query_range = row_range(d, q);
        done = linear_forward(d, q, query_range, keys, key_range.mean - key_middle, values,
                              state.key_weight + head * d.padded,
                              state.sorted + head * kSortedRows * slots(d.padded), scratch.rows, plan,
                              state.panel_of + head * d.padded, mixed, slope, inverse_total);
      }
      if (!done) quadratic_forward(d, q, keys, values, plan.key_half, mixed, slope, inverse_total);
    }
    return;
  }
  for (int head = 0; head < d.heads; ++head) {
    const int first = head * d.head_width * d.padded;
    const float* q = state.qkv + first;
    float* mixed = state.mixed + first;
    float* inverse_total = state.inverse_total + head * d.padded;
    float* row_max = state.row_max + head * d.padded;
    const auto forward = d.head_width == 2   ? quadratic_forward_wide<2>
                         : d.head_width == 4 ? quadratic_forward_wide<4>
                                             : quadratic_forward_wide<0>;
    forward(d, q, q + plane, q + 2 * plane, mixed, inverse_total, row_max);
  }
  for (int c = 0; c < d.width; ++c) state.centre[c] = 0.0f;
}

/// mixed_gradient -> qkv_gradient, with the queries' scale undone.
inline void attention_backward(const Dimensions& d, const LayerState& state, const Scratch& scratch) {
  const int plane = d.width * d.padded;
  for (int head = 0; head < d.heads; ++head) {
    const int first = head * d.head_width * d.padded;
    const float* q = state.qkv + first;
    const float* keys = q + plane;
    const float* values = keys + plane;
    const float* mixed = state.mixed + first;
    const float* inverse_total = state.inverse_total + head * d.padded;
    const float* gradient = scratch.mixed_gradient + first;
    float* dq = scratch.qkv_gradient + first;
    float* dk = dq + plane;
    float* dv = dk + plane;
    if (d.head_width > 1) {
      const auto backward = d.head_width == 2   ? quadratic_backward_wide<2>
                            : d.head_width == 4 ? quadratic_backward_wide<4>
                                                : quadratic_backward_wide<0>;
      backward(d, q, keys, values, mixed, inverse_total, state.row_max + head * d.padded, gradient,
               scratch.rows, dq, dk, dv);
      continue;
    }
    HeadPlan& plan = state.plan[head];
    const float* slope = state.slope + head * d.padded;
    multiply(d, gradient, slope, dq);
    if (plan.panels > 0) {
      linear_backward(d, q, keys, values, state.key_weight + head * d.padded,
                      state.sorted + head * kSortedRows * slots(d.padded), plan,
                      state.panel_of + head * d.padded, mixed, inverse_total, gradient, scratch.rows, dk, dv);
    } else {
      quadratic_backward(d, q, keys, values, plan.key_half, mixed, inverse_total, gradient, scratch.rows, dk,
                         dv);
    }
  }
  if (d.query_scale != 1.0f) {
    for (int n = 0; n < plane; n += kLanes) {
      store(scratch.qkv_gradient + n, load(scratch.qkv_gradient + n) * d.query_scale);
    }
  }
}

struct MaskWords {
  const std::uint32_t *attention, *inner, *outer;
};

inline MaskWords mask_words(const Dimensions& d, const LayerState& state, int first_cell) {
  const int blocks = d.padded / kTokenBlock;
  const std::uint32_t* first = state.masks + first_cell / kTokenBlock;
  return {first, first + d.width * blocks, first + (d.width + d.inner) * blocks};
}

/// The encoder for one width: the usual one as a constant, or 0 for the one of the dimensions.
template <int kWidth>
struct EncoderOf {
  static int width(const Dimensions& d) { return kWidth > 0 ? kWidth : d.width; }
  static int inner_width(const Dimensions& d) { return kWidth > 0 ? 4 * kWidth : d.inner; }

  static void forward(const Dimensions& d, const LayerWeights* weights, const LayerState* states,
                      const float* sample, const float* positions, float* input, const Scratch& scratch,
                      float* flat) {
    split_rows(d, sample, positions, input);
    for (int layer = 0; layer < d.layers; ++layer) {
      const float* x = layer == 0 ? input : scratch.stream;
      project(d, weights[layer], states[layer], x);
      attention(d, states[layer], scratch);
      feed_forward(d, weights[layer], states[layer], x, scratch);
    }
    join_columns(d, scratch.stream, flat);
  }

  static void backward(const Dimensions& d, const LayerWeights* weights, const LayerState* states,
                       const float* input, const Scratch& scratch, const float* flat_gradient,
                       const LayerSums* sums) {
    const int width = EncoderOf::width(d);
    split_rows(d, flat_gradient, nullptr, scratch.stream);
    for (int c = 0; c < width; ++c) clear_padding(scratch.stream + c * d.padded, d);
    for (int layer = d.layers - 1; layer >= 0; --layer) {
      feed_forward_backward(d, weights[layer], states[layer], scratch, sums[layer]);
      attention_backward(d, states[layer], scratch);
      if (layer == 0) {
        // The samples themselves need no gradient.
        outer(scratch.qkv_gradient, d.padded, 3 * width, input, d.padded, width, d.padded, sums[0].in_weight,
              sums[0].in_bias);
      } else {
        project_backward(d, weights[layer], weights[layer - 1], states[layer - 1], scratch, sums[layer]);
      }
    }
  }

 private:
  /// rows [cells][width] -> columns [width][padded], plus `offset`, which lies as they do and may be null.
  static void split_rows(const Dimensions& d, const float* rows, const float* offset, float* columns) {
    const int width = EncoderOf::width(d);
    int first = 0;
    if constexpr (kWidth == 4) {
      for (; first + kLanes <= d.cells; first += kLanes) {
        Vector column[4];
        columns_of_rows(rows + first * 4, column);
        for (int c = 0; c < 4; ++c) {
          const int at = c * d.padded + first;
          store(columns + at, offset != nullptr ? column[c] + load_loose(offset + at) : column[c]);
        }
      }
    }
    for (int n = first; n < d.cells; ++n) {
      for (int c = 0; c < width; ++c) {
        const int at = c * d.padded + n;
        columns[at] = offset != nullptr ? rows[n * width + c] + offset[at] : rows[n * width + c];
      }
    }
  }

  /// The way back, without an offset.
  static void join_columns(const Dimensions& d, const float* columns, float* rows) {
    const int width = EncoderOf::width(d);
    int first = 0;
    if constexpr (kWidth == 4) {
      for (; first + kLanes <= d.cells; first += kLanes) {
        Vector column[4];
        for (int c = 0; c < 4; ++c) column[c] = load(columns + c * d.padded + first);
        rows_of_columns(column, rows + first * 4);
      }
    }
    for (int n = first; n < d.cells; ++n) {
      for (int c = 0; c < width; ++c) rows[n * width + c] = columns[c * d.padded + n];
    }
  }

  static void project(const Dimensions& d, const LayerWeights& w, const LayerState& state, const float* x) {
    const int width = EncoderOf::width(d);
    dense(
        w.in_weight, 3 * width, width, x, d.padded, d.padded, [&](int o, int) { return splat(w.in_bias[o]); },
        [&](int o, int n, Vector value) { store(state.qkv + o * d.padded + n, value); });
    // Padding repeats the last cell, so that ranges and maxima need no mask.
    for (int c = 0; c < 3 * width; ++c) {
      float* row = state.qkv + c * d.padded;
      for (int n = d.cells; n < d.padded; ++n) row[n] = row[d.cells - 1];
    }
  }

  /// x and attention's output -> scratch.stream.
  static void feed_forward(const Dimensions& d, const LayerWeights& w, const LayerState& state,
                           const float* x, const Scratch& scratch) {
    const int width = EncoderOf::width(d);
    const int inner_width = EncoderOf::inner_width(d);
    const int blocks = d.padded / kTokenBlock;
    float* narrow = scratch.block;           // [width][kTile]
    float* second = narrow + width * kTile;  // [width][kTile]
    float* inner = second + width * kTile;   // [inner][kTile]
    float* out_bias = scratch.column;
    for (int o = 0; o < width; ++o) {
      out_bias[o] = w.out_bias[o];
      for (int c = 0; c < width; ++c)
        out_bias[o] = fma(w.out_weight[o * width + c], state.centre[c], out_bias[o]);
    }
    const bool masked = state.masks != nullptr;
    const auto keep = [&](int o, int n, Vector value) { store(narrow + o * kTile + n, value); };
    for (int begin = 0; begin < d.padded; begin += kTile) {
      const int cells = begin + kTile <= d.padded ? kTile : d.padded - begin;
      const auto residual = [&](int o, int n, Vector value) {
        store(narrow + o * kTile + n, value + load(x + o * d.padded + begin + n));
      };
      const auto second_residual = [&](int o, int n, Vector value) {
        store(narrow + o * kTile + n, value + load(second + o * kTile + n));
      };
      const auto out_start = [&](int o, int) { return splat(out_bias[o]); };
      if (masked) {
        dense(w.out_weight, width, width, state.mixed + begin, d.padded, cells, out_start, keep);
        apply_mask(narrow, width, cells, mask_words(d, state, begin).attention, blocks, d.dropout_scale);
        add_rows(x + begin, d.padded, width, cells, narrow, kTile);
      } else {
        dense(w.out_weight, width, width, state.mixed + begin, d.padded, cells, out_start, residual);
      }
      layer_norm(narrow, width, cells, w.norm1_weight, w.norm1_bias, state.norm1 + begin, d.padded,
                 state.scale1 + begin, second, kTile);
      dense(
          w.inner_weight, inner_width, width, second, kTile, cells,
          [&](int o, int) { return splat(w.inner_bias[o]); },
          [&](int o, int n, Vector value) { store(inner + o * kTile + n, value); });
      gelu(inner, inner_width, kTile, cells, w.gelu_range);
      const auto outer_start = [&](int o, int) { return splat(w.outer_bias[o]); };
      if (masked) {
        apply_mask(inner, inner_width, cells, mask_words(d, state, begin).inner, blocks, d.dropout_scale);
        dense(w.outer_weight, width, inner_width, inner, kTile, cells, outer_start, keep);
        apply_mask(narrow, width, cells, mask_words(d, state, begin).outer, blocks, d.dropout_scale);
        add_rows(second, kTile, width, cells, narrow, kTile);
      } else {
        dense(w.outer_weight, width, inner_width, inner, kTile, cells, outer_start, second_residual);
      }
      layer_norm(narrow, width, cells, w.norm2_weight, w.norm2_bias, state.norm2 + begin, d.padded,
                 state.scale2 + begin, scratch.stream + begin, d.padded);
    }
  }

  /// scratch.stream -> scratch.mixed_gradient, and scratch.residual, what goes past attention.
  static void feed_forward_backward(const Dimensions& d, const LayerWeights& w, const LayerState& state,
                                    const Scratch& scratch, const LayerSums& sum) {
    const int width = EncoderOf::width(d);
    const int inner_width = EncoderOf::inner_width(d);
    const int blocks = d.padded / kTokenBlock;
    float* narrow = scratch.block;  // [width][kTile] each
    float* second = narrow + width * kTile;
    float* third = second + width * kTile;
    float* inner = third + width * kTile;  // [inner][kTile] each
    float* slope = inner + inner_width * kTile;
    const bool masked = state.masks != nullptr;
    const auto zero = [](int, int) { return Vector{}; };
    for (int begin = 0; begin < d.padded; begin += kTile) {
      const int cells = begin + kTile <= d.padded ? kTile : d.padded - begin;
      // The next tile's rows, which are too many and too short for the hardware to follow.
      const int next = begin + kTile;
      const auto fetch_next = [&](int row) {
        if (next >= d.padded) return;
        const float* const wide[] = {state.norm2, state.norm1, state.mixed};
        if (row < 3 * width) {
          fetch_row(wide[row / width] + row % width * d.padded + next);
        } else if (row < 3 * width + 2) {
          fetch_row((row == 3 * width ? state.scale1 : state.scale2) + next);
        }
      };
      layer_norm_backward(scratch.stream + begin, d.padded, width, cells, w.norm2_weight, state.norm2 + begin,
                          d.padded, state.scale2 + begin, third, kTile, sum.norm2_weight, sum.norm2_bias);
      if (masked) copy_rows(third, kTile, width, cells, narrow, kTile);
      denormalise(state.norm1 + begin, d.padded, width, cells, w.norm1_weight, w.norm1_bias, second);
      dense(
          w.inner_weight, inner_width, width, second, kTile, cells,
          [&](int o, int) { return splat(w.inner_bias[o]); },
          [&](int o, int n, Vector value) { store(inner + o * kTile + n, value); });
      gelu_with_slope(inner, slope, inner_width, kTile, cells, w.gelu_range, fetch_next);
      if (masked) {
        const MaskWords words = mask_words(d, state, begin);
        apply_mask(inner, inner_width, cells, words.inner, blocks, d.dropout_scale);
        apply_mask(slope, inner_width, cells, words.inner, blocks, d.dropout_scale);
        apply_mask(third, width, cells, words.outer, blocks, d.dropout_scale);
      }
      outer(third, kTile, width, inner, kTile, inner_width, cells, sum.outer_weight, sum.outer_bias);
      dense(w.outer_weight_t, inner_width, width, third, kTile, cells, zero, [&](int o, int n, Vector value) {
        store(slope + o * kTile + n, value * load(slope + o * kTile + n));
      });
      outer(slope, kTile, inner_width, second, kTile, width, cells, sum.inner_weight, sum.inner_bias);
      const float* past = masked ? narrow : third;
      dense(
          w.inner_weight_t, width, inner_width, slope, kTile, cells,
          [&](int o, int n) { return load(past + o * kTile + n); },
          [&](int o, int n, Vector value) { store(second + o * kTile + n, value); });
      float* residual = scratch.residual + begin;
      layer_norm_backward(second, kTile, width, cells, w.norm1_weight, state.norm1 + begin, d.padded,
                          state.scale1 + begin, residual, d.padded, sum.norm1_weight, sum.norm1_bias);
      const float* projected = residual;
      int stride = d.padded;
      if (masked) {
        copy_rows(residual, d.padded, width, cells, narrow, kTile);
        apply_mask(narrow, width, cells, mask_words(d, state, begin).attention, blocks, d.dropout_scale);
        projected = narrow;
        stride = kTile;
      }
      outer(projected, stride, width, state.mixed + begin, d.padded, width, cells, sum.out_weight,
            sum.out_bias);
      dense(w.out_weight_t, width, width, projected, stride, cells, zero, [&](int o, int n, Vector value) {
        store(scratch.mixed_gradient + o * d.padded + begin + n, value);
      });
    }
    // The sums of this layer hold this sample alone, so the bias gradient is that of the centre's share too.
    for (int o = 0; o < width; ++o) {
      const Vector bias = load(sum.out_bias + o * kLanes);
      for (int c = 0; c < width; ++c) {
        float* weight_sum = sum.out_weight + (o * width + c) * kLanes;
        store(weight_sum, fma(bias, splat(state.centre[c]), load(weight_sum)));
      }
    }
  }

  /// qkv_gradient and residual -> scratch.stream, the gradient of the layer below.
  static void project_backward(const Dimensions& d, const LayerWeights& w, const LayerWeights& below,
                               const LayerState& state_below, const Scratch& scratch, const LayerSums& sum) {
    const int width = EncoderOf::width(d);
    float* x = scratch.block;  // [width][kTile]
    for (int begin = 0; begin < d.padded; begin += kTile) {
      const int cells = begin + kTile <= d.padded ? kTile : d.padded - begin;
      denormalise(state_below.norm2 + begin, d.padded, width, cells, below.norm2_weight, below.norm2_bias, x);
      const float* gradient = scratch.qkv_gradient + begin;
      outer(gradient, d.padded, 3 * width, x, kTile, width, cells, sum.in_weight, sum.in_bias);
      dense(
          w.in_weight_t, width, 3 * width, gradient, d.padded, cells,
          [&](int o, int n) { return load(scratch.residual + o * d.padded + begin + n); },
          [&](int o, int n, Vector value) { store(scratch.stream + o * d.padded + begin + n, value); });
    }
  }
};

constexpr int kUsualWidth = 4;

void encode(const Dimensions& d, const LayerWeights* weights, const LayerState* states, const float* sample,
            const float* positions, float* input, const Scratch& scratch, float* flat) {
  const auto forward = d.width == kUsualWidth ? EncoderOf<kUsualWidth>::forward : EncoderOf<0>::forward;
  forward(d, weights, states, sample, positions, input, scratch, flat);
}

void encode_backward(const Dimensions& d, const LayerWeights* weights, const LayerState* states,
                     const float* input, const Scratch& scratch, const float* flat_gradient,
                     const LayerSums* sums) {
  const auto backward = d.width == kUsualWidth ? EncoderOf<kUsualWidth>::backward : EncoderOf<0>::backward;
  backward(d, weights, states, input, scratch, flat_gradient, sums);
}

}  // namespace
}  // namespace mgrn::model::cpu
