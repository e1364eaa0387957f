// SPDX-License-Identifier: Apache-2.0
// One sample's way through the encoder and back: post-norm layers, H <- LayerNorm(H + MultiHead(H)),
// H <- LayerNorm(H + FFN(H)). Everything but attention works on tiles of cells that stay in the first-level
// cache; the feed-forward net's inner values are recomputed backward, which is cheaper than storing them.
//
// Between norms flow coordinates: what a layer norm gives lacks a mean, so that width - 1 numbers hold it
// (folded_encoder.hpp).
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
  static int coordinates(const Dimensions& d) { return width(d) - 1; }
  static int inner_width(const Dimensions& d) { return kWidth > 0 ? 4 * kWidth : d.inner; }

  static void forward(const Dimensions& d, const EncoderWeights& weights, const LayerState* states,
                      const float* sample, const float* positions, float* input, const Scratch& scratch,
                      float* flat) {
    split_rows(d, sample, positions, input);
    dense(coordinates(d), d.padded, NoBias{}, Into{scratch.stream, d.padded},
          Product{weights.basis_t, {input, d.padded, width(d)}});
    project(d, weights.layers[0].in, {input, d.padded, width(d)}, states[0]);
    attention(d, states[0], scratch);
    feed_forward(d, weights, weights.layers[0], states[0], scratch.stream, scratch);
    for (int layer = 1; layer < d.layers; ++layer) {
      const float* below = states[layer - 1].norm2;
      project(d, weights.layers[layer].in, {below, d.padded, coordinates(d)}, states[layer]);
      attention(d, states[layer], scratch);
      feed_forward(d, weights, weights.layers[layer], states[layer], below, scratch);
    }
    flatten(d, weights.flat, states[d.layers - 1].norm2, scratch, flat);
  }

  static void backward(const Dimensions& d, const EncoderWeights& weights, const LayerState* states,
                       const float* input, const Scratch& scratch, const float* flat_gradient,
                       const EncoderSums& sums) {
    flatten_backward(d, weights.flat, states[d.layers - 1].norm2, scratch, flat_gradient, sums);
    for (int layer = d.layers - 1; layer >= 0; --layer) {
      feed_forward_backward(d, weights, weights.layers[layer], states[layer], scratch, sums.layers[layer]);
      attention_backward(d, states[layer], scratch);
      if (layer == 0) {
        // The samples themselves need no gradient.
        const Rows gradient{scratch.qkv_gradient, d.padded, 3 * width(d)};
        outer(gradient, {input, d.padded, width(d)}, d.padded, {sums.layers[0].in_weight, width(d), 1});
        add_sums(gradient, d.padded, sums.layers[0].in_bias);
      } else {
        project_backward(d, weights.layers[layer], states[layer - 1], scratch, sums.layers[layer]);
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

  /// The way back, of `cells`: columns [width][stride] -> rows [cells][width].
  static void join_columns(const Dimensions& d, const float* columns, int stride, int cells, float* rows) {
    const int width = EncoderOf::width(d);
    int first = 0;
    if constexpr (kWidth == 4) {
      for (; first + kLanes <= cells; first += kLanes) {
        Vector column[4];
        for (int c = 0; c < 4; ++c) column[c] = load(columns + c * stride + first);
        rows_of_columns(column, rows + first * 4);
      }
    }
    for (int n = first; n < cells; ++n) {
      for (int c = 0; c < width; ++c) rows[n * width + c] = columns[c * stride + n];
    }
  }

  /// The last layer's coordinates -> flat [cells][width], as the predictor reads them.
  static void flatten(const Dimensions& d, const DenseWeights& w, const float* y, const Scratch& scratch,
                      float* flat) {
    const int width = EncoderOf::width(d);
    float* columns = scratch.block;  // [width][kTile]
    for (int begin = 0; begin < d.cells; begin += kTile) {
      const int cells = begin + kTile <= d.padded ? kTile : d.padded - begin;
      spread(width, cells, Biases{w.bias}, Into{columns, kTile},
             Product{w.weight, {y + begin, d.padded, coordinates(d)}});
      join_columns(d, columns, kTile, begin + cells <= d.cells ? cells : d.cells - begin,
                   flat + begin * width);
    }
  }

  /// flat_gradient -> scratch.stream
  static void flatten_backward(const Dimensions& d, const DenseWeights& w, const float* y,
                               const Scratch& scratch, const float* flat_gradient, const EncoderSums& sums) {
    const int width = EncoderOf::width(d);
    const Rows columns{scratch.mixed_gradient, d.padded, width};
    split_rows(d, flat_gradient, nullptr, scratch.mixed_gradient);
    for (int c = 0; c < width; ++c) clear_padding(scratch.mixed_gradient + c * d.padded, d);
    outer(columns, {y, d.padded, coordinates(d)}, d.padded, {sums.flat_weight, coordinates(d), 1});
    add_sums(columns, d.padded, sums.flat_bias);
    dense(coordinates(d), d.padded, NoBias{}, Into{scratch.stream, d.padded}, Product{w.weight_t, columns});
  }

  static MGRN_INLINE void project(const Dimensions& d, const DenseWeights& w, const Rows& x,
                                  const LayerState& state) {
    const int outs = 3 * width(d);
    spread(outs, d.padded, Biases{w.bias}, Into{state.qkv, d.padded}, Product{w.weight, x});
    // Padding repeats the last cell, so that ranges and maxima need no mask.
    for (int c = 0; c < outs; ++c) {
      float* row = state.qkv + c * d.padded;
      for (int n = d.cells; n < d.padded; ++n) row[n] = row[d.cells - 1];
    }
  }

  /// Attention's output, and what goes past it [coordinates][padded] -> state.norm2.
  static void feed_forward(const Dimensions& d, const EncoderWeights& all, const LayerWeights& w,
                           const LayerState& state, const float* past, const Scratch& scratch) {
    const int width = EncoderOf::width(d);
    const int coordinates = EncoderOf::coordinates(d);
    const int inner_width = EncoderOf::inner_width(d);
    const int blocks = d.padded / kTokenBlock;
    float* dropped = scratch.block;        // [width][kTile]
    float* sum = dropped + width * kTile;  // [coordinates][kTile]
    float* inner = sum + width * kTile;    // [inner][kTile]
    const bool masked = state.masks != nullptr;
    const DenseWeights& out = masked ? w.dropped_out : w.out;
    float* out_bias = scratch.column;
    for (int o = 0; o < (masked ? width : coordinates); ++o) {
      out_bias[o] = out.bias[o];
      for (int c = 0; c < width; ++c)
        out_bias[o] = fma(out.weight[o * width + c], state.centre[c], out_bias[o]);
    }
    const Product dropped_coordinates{all.basis_t, {dropped, kTile, width}};
    for (int begin = 0; begin < d.padded; begin += kTile) {
      const int cells = begin + kTile <= d.padded ? kTile : d.padded - begin;
      float* const y = state.norm1 + begin;
      const Product mixed{out.weight, {state.mixed + begin, d.padded, width}};
      const Product past_attention{w.past_attention, {past + begin, d.padded, coordinates}};
      const Into to_sum{sum, kTile}, to_dropped{dropped, kTile};
      if (masked) {
        dense(width, cells, Biases{out_bias}, to_dropped, mixed);
        apply_mask(dropped, width, cells, mask_words(d, state, begin).attention, blocks, d.dropout_scale);
        dense(coordinates, cells, Biases{w.past_attention_bias}, to_sum, past_attention, dropped_coordinates);
      } else {
        dense(coordinates, cells, Biases{out_bias}, to_sum, past_attention, mixed);
      }
      layer_norm(sum, width, cells, y, d.padded, state.scale1 + begin);
      const Rows normalised{y, d.padded, coordinates};
      spread(inner_width, cells, Biases{w.inner.bias}, Into{inner, kTile},
             Product{w.inner.weight, normalised});
      gelu(inner, inner_width, kTile, cells, w.gelu_range);
      const Rows of_inner{inner, kTile, inner_width};
      const Product past_feed_forward{w.past_feed_forward, normalised};
      if (masked) {
        apply_mask(inner, inner_width, cells, mask_words(d, state, begin).inner, blocks, d.dropout_scale);
        dense(width, cells, Biases{w.dropped_outer.bias}, to_dropped,
              Product{w.dropped_outer.weight, of_inner});
        apply_mask(dropped, width, cells, mask_words(d, state, begin).outer, blocks, d.dropout_scale);
        dense(coordinates, cells, Biases{w.past_feed_forward_bias}, to_sum, past_feed_forward,
              dropped_coordinates);
      } else {
        dense(coordinates, cells, Biases{w.outer.bias}, to_sum, past_feed_forward,
              Product{w.outer.weight, of_inner});
      }
      layer_norm(sum, width, cells, state.norm2 + begin, d.padded, state.scale2 + begin);
    }
  }

  /// scratch.stream -> scratch.mixed_gradient, and scratch.residual, what goes past attention.
  static void feed_forward_backward(const Dimensions& d, const EncoderWeights& all, const LayerWeights& w,
                                    const LayerState& state, const Scratch& scratch, const LayerSums& sum) {
    const int width = EncoderOf::width(d);
    const int coordinates = EncoderOf::coordinates(d);
    const int inner_width = EncoderOf::inner_width(d);
    const int blocks = d.padded / kTokenBlock;
    float* dropped = scratch.block;           // [width][kTile]
    float* second = dropped + width * kTile;  // [coordinates][kTile]
    float* inner = second + width * kTile;    // [inner][kTile] each
    float* slope = inner + inner_width * kTile;
    const bool masked = state.masks != nullptr;
    const DenseWeights& out = masked ? w.dropped_out : w.out;
    const DenseWeights& outer_layer = masked ? w.dropped_outer : w.outer;
    const Rows of_inner{slope, kTile, inner_width};
    const Into to_dropped{dropped, kTile};
    for (int begin = 0; begin < d.padded; begin += kTile) {
      const int cells = begin + kTile <= d.padded ? kTile : d.padded - begin;
      // The next tile's rows, which are too many and too short for the hardware to follow.
      const int next = begin + kTile;
      const Rows fetched[] = {{state.mixed + next, d.padded, width},
                              {state.norm1 + next, d.padded, coordinates},
                              {state.norm2 + next, d.padded, coordinates},
                              {state.scale1 + next, d.padded, 1},
                              {state.scale2 + next, d.padded, 1}};
      const auto fetch_next = [&](int row) {
        if (next >= d.padded) return;
        for (const Rows& rows : fetched) {
          if (row < rows.count) return fetch_row(rows.at + row * rows.stride);
          row -= rows.count;
        }
      };
      const Rows y{state.norm1 + begin, d.padded, coordinates};
      float* const residual = scratch.residual + begin;
      // The gradient of both norms' inputs lies there in turn.
      const Rows past{residual, d.padded, coordinates};
      layer_norm_backward(scratch.stream + begin, d.padded, width, cells, state.norm2 + begin, d.padded,
                          state.scale2 + begin, residual, d.padded);
      add_sums(past, cells, sum.past_feed_forward_bias);
      outer(past, y, cells, {sum.past_feed_forward, coordinates, 1});
      spread(inner_width, cells, Biases{w.inner.bias}, Into{inner, kTile}, Product{w.inner.weight, y});
      gelu_with_slope(inner, slope, inner_width, kTile, cells, w.gelu_range, fetch_next);
      Rows gradient = past;
      if (masked) {
        const MaskWords words = mask_words(d, state, begin);
        apply_mask(inner, inner_width, cells, words.inner, blocks, d.dropout_scale);
        apply_mask(slope, inner_width, cells, words.inner, blocks, d.dropout_scale);
        dense(width, cells, NoBias{}, to_dropped, Product{all.basis, past});
        apply_mask(dropped, width, cells, words.outer, blocks, d.dropout_scale);
        gradient = {dropped, kTile, width};
        add_sums(gradient, cells, sum.outer_bias);
      }
      outer({inner, kTile, inner_width}, gradient, cells, {sum.outer_weight, 1, inner_width});
      spread(
          inner_width, cells, NoBias{},
          [&](int o, int n, Vector value) {
            store(slope + o * kTile + n, value * load(slope + o * kTile + n));
          },
          Product{outer_layer.weight_t, gradient});
      outer(of_inner, y, cells, {sum.inner_weight, coordinates, 1});
      add_sums(of_inner, cells, sum.inner_bias);
      dense(coordinates, cells, NoBias{}, Into{second, kTile}, Product{w.past_feed_forward, past},
            Product{w.inner.weight_t, of_inner});
      layer_norm_backward(second, kTile, width, cells, y.at, y.stride, state.scale1 + begin, residual,
                          d.padded);
      add_sums(past, cells, sum.past_attention_bias);
      gradient = past;
      if (masked) {
        dense(width, cells, NoBias{}, to_dropped, Product{all.basis, past});
        apply_mask(dropped, width, cells, mask_words(d, state, begin).attention, blocks, d.dropout_scale);
        gradient = {dropped, kTile, width};
        add_sums(gradient, cells, sum.out_bias);
      }
      outer({state.mixed + begin, d.padded, width}, gradient, cells, {sum.out_weight, 1, width});
      spread(width, cells, NoBias{}, Into{scratch.mixed_gradient + begin, d.padded},
             Product{out.weight_t, gradient});
    }
    // The sums of this layer hold this sample alone, so the bias gradient is that of the centre's share too.
    const float* const bias_sums = masked ? sum.out_bias : sum.past_attention_bias;
    for (int o = 0; o < (masked ? width : coordinates); ++o) {
      const Vector bias = load(bias_sums + o * kLanes);
      for (int c = 0; c < width; ++c) {
        float* weight_sum = sum.out_weight + (o * width + c) * kLanes;
        store(weight_sum, fma(bias, splat(state.centre[c]), load(weight_sum)));
      }
    }
  }

  /// qkv_gradient and residual -> scratch.stream, the gradient of the layer below.
  static void project_backward(const Dimensions& d, const LayerWeights& w, const LayerState& below,
                               const Scratch& scratch, const LayerSums& sum) {
    const int coordinates = EncoderOf::coordinates(d);
    for (int begin = 0; begin < d.padded; begin += kTile) {
      const int cells = begin + kTile <= d.padded ? kTile : d.padded - begin;
      const Rows x{below.norm2 + begin, d.padded, coordinates};
      const Rows gradient{scratch.qkv_gradient + begin, d.padded, 3 * width(d)};
      const Rows past{scratch.residual + begin, d.padded, coordinates};
      outer(gradient, x, cells, {sum.in_weight, coordinates, 1});
      add_sums(gradient, cells, sum.in_bias);
      outer(past, x, cells, {sum.past_attention, coordinates, 1});
      dense(coordinates, cells, NoBias{}, Into{scratch.stream + begin, d.padded},
            Product{w.past_attention, past}, Product{w.in.weight_t, gradient});
    }
  }
};

constexpr int kUsualWidth = 4;

void encode(const Dimensions& d, const EncoderWeights& weights, const LayerState* states, const float* sample,
            const float* positions, float* input, const Scratch& scratch, float* flat) {
  const auto forward = d.width == kUsualWidth ? EncoderOf<kUsualWidth>::forward : EncoderOf<0>::forward;
  forward(d, weights, states, sample, positions, input, scratch, flat);
}

void encode_backward(const Dimensions& d, const EncoderWeights& weights, const LayerState* states,
                     const float* input, const Scratch& scratch, const float* flat_gradient,
                     const EncoderSums& sums) {
  const auto backward = d.width == kUsualWidth ? EncoderOf<kUsualWidth>::backward : EncoderOf<0>::backward;
  backward(d, weights, states, input, scratch, flat_gradient, sums);
}

}  // namespace
}  // namespace mgrn::model::cpu
