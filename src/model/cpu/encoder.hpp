// SPDX-License-Identifier: Apache-2.0
// One sample's way through the encoder and back: post-norm layers, H <- LayerNorm(H + MultiHead(H)),
// H <- LayerNorm(H + FFN(H)). Everything but attention works on blocks of cells that stay in the first-level
// cache; the feed-forward net's inner values are recomputed backward, which is cheaper than storing them.
#pragma once

#include "model/cpu/attention_moments.hpp"
#include "model/cpu/attention_quadratic.hpp"
#include "model/cpu/token_block.hpp"

namespace mgrn::model::cpu {
namespace {

struct RowRange {
  float low;
  float high;
};

inline RowRange row_range(const Dimensions& d, const float* row) {
  Vector low = load(row);
  Vector high = low;
  for (int n = kLanes; n < d.padded; n += kLanes) {
    const Vector x = load(row + n);
    low = at_most(x, low);
    high = at_least(x, high);
  }
  return {smallest(low), largest(high)};
}

/// keys and values of a scalar head, less the middle of their ranges.
inline void centred(const Dimensions& d, const float* row, float middle, float* result) {
  for (int n = 0; n < d.padded; n += kLanes) store(result + n, load(row + n) - middle);
}

inline void attention(const Dimensions& d, const LayerState& state, const Scratch& scratch) {
  const int plane = d.width * d.padded;
  if (d.head_width == 1) {
    float* keys = scratch.rows;
    float* values = keys + slot_room(d);
    float* rows = values + slot_room(d);
    for (int head = 0; head < d.heads; ++head) {
      HeadPlan& plan = state.plan[head];
      const float* q = state.qkv + head * d.padded;
      const RowRange key_range = row_range(d, q + plane);
      const RowRange value_range = row_range(d, q + 2 * plane);
      plan.panels = 0;
      plan.key_middle = 0.5f * (key_range.low + key_range.high);
      plan.value_middle = 0.5f * (value_range.low + value_range.high);
      centred(d, q + plane, plan.key_middle, keys);
      centred(d, q + 2 * plane, plan.value_middle, values);
      // Not (high - low)/2: the half range must bound the rounded, centred keys.
      const float above = key_range.high - plan.key_middle;
      const float below = plan.key_middle - key_range.low;
      plan.key_half = above > below ? above : below;
      state.centre[head] = plan.value_middle;
      float* mixed = state.mixed + head * d.padded;
      float* slope = state.slope + head * d.padded;
      float* inverse_total = state.inverse_total + head * d.padded;
      bool done = false;
      if (d.linear) {
        const RowRange query_range = row_range(d, q);
        done = linear_forward(d, q, query_range.low, query_range.high, keys, values, rows, plan,
                              state.slot + head * d.padded, mixed, slope, inverse_total);
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
      backward(d, q, q + plane, q + 2 * plane, mixed, inverse_total, state.row_max + head * d.padded,
               gradient, scratch.rows, dq, dk, dv);
      continue;
    }
    const HeadPlan& plan = state.plan[head];
    float* keys = scratch.rows;
    float* values = keys + slot_room(d);
    float* rows = values + slot_room(d);
    centred(d, q + plane, plan.key_middle, keys);
    centred(d, q + 2 * plane, plan.value_middle, values);
    const float* slope = state.slope + head * d.padded;
    for (int n = 0; n < d.padded; n += kLanes) store(dq + n, load(gradient + n) * load(slope + n));
    clear_padding(dq, d);
    if (plan.panels > 0) {
      linear_backward(d, q, keys, values, plan, state.slot + head * d.padded, mixed, inverse_total, gradient,
                      rows, dk, dv);
    } else {
      quadratic_backward(d, q, keys, values, plan.key_half, mixed, inverse_total, gradient, rows, dk, dv);
    }
  }
  if (d.query_scale != 1.0f) {
    for (int n = 0; n < plane; n += kLanes) {
      store(scratch.qkv_gradient + n, load(scratch.qkv_gradient + n) * d.query_scale);
    }
  }
}

/// Attention output of one block: mixed + centre.
inline void attention_output(const Dimensions& d, const LayerState& state, int begin, float* result) {
  for (int c = 0; c < d.width; ++c) {
    for (int v = 0; v < kTokenBlock; v += kLanes) {
      store(result + c * kTokenBlock + v, load(state.mixed + c * d.padded + begin + v) + state.centre[c]);
    }
  }
}

inline void add_rows(const float* x, int x_stride, int rows, float* result, int stride) {
  for (int c = 0; c < rows; ++c) {
    for (int v = 0; v < kTokenBlock; v += kLanes) {
      store(result + c * stride + v, load(result + c * stride + v) + load(x + c * x_stride + v));
    }
  }
}

/// weight * normalised + bias of one block.
inline void denormalise(const Dimensions& d, const float* normalised, const float* weight, const float* bias,
                        float* result) {
  for (int c = 0; c < d.width; ++c) {
    for (int v = 0; v < kTokenBlock; v += kLanes) {
      store(result + c * kTokenBlock + v,
            fma(load(normalised + c * d.padded + v), splat(weight[c]), splat(bias[c])));
    }
  }
}

struct MaskWords {
  const std::uint32_t *attention, *inner, *outer;
};

inline MaskWords mask_words(const Dimensions& d, const LayerState& state, int block) {
  const int blocks = d.padded / kTokenBlock;
  const std::uint32_t* first = state.masks + block;
  return {first, first + d.width * blocks, first + (d.width + d.inner) * blocks};
}

void encode(const Dimensions& d, const LayerWeights* weights, const LayerState* states, const float* input,
            const Scratch& scratch, float* flat) {
  const int blocks = d.padded / kTokenBlock;
  float* narrow = scratch.block;                   // [width][kTokenBlock]
  float* second = narrow + d.width * kTokenBlock;  // [width][kTokenBlock]
  float* inner = second + d.width * kTokenBlock;   // [inner][kTokenBlock]
  for (int layer = 0; layer < d.layers; ++layer) {
    const LayerWeights& w = weights[layer];
    const LayerState& state = states[layer];
    const float* x = layer == 0 ? input : scratch.stream;
    for (int n = 0; n < d.padded; n += kTokenBlock) {
      dense(w.in_weight, w.in_bias, 3 * d.width, d.width, x + n, d.padded, state.qkv + n, d.padded);
    }
    // Padding repeats the last cell, so that ranges and maxima need no mask.
    for (int c = 0; c < 3 * d.width; ++c) {
      float* row = state.qkv + c * d.padded;
      for (int n = d.cells; n < d.padded; ++n) row[n] = row[d.cells - 1];
    }
    attention(d, state, scratch);
    for (int block = 0; block < blocks; ++block) {
      const int n = block * kTokenBlock;
      attention_output(d, state, n, second);
      dense(w.out_weight, w.out_bias, d.width, d.width, second, kTokenBlock, narrow, kTokenBlock);
      if (state.masks != nullptr) {
        apply_mask(narrow, d.width, mask_words(d, state, block).attention, blocks, d.dropout_scale);
      }
      add_rows(x + n, d.padded, d.width, narrow, kTokenBlock);
      layer_norm(narrow, d.width, w.norm1_weight, w.norm1_bias, state.norm1 + n, d.padded, state.scale1 + n,
                 second, kTokenBlock);
      dense(w.inner_weight, w.inner_bias, d.inner, d.width, second, kTokenBlock, inner, kTokenBlock);
      for (int i = 0; i < d.inner * kTokenBlock; i += kLanes) store(inner + i, gelu(load(inner + i)).value);
      if (state.masks != nullptr) {
        apply_mask(inner, d.inner, mask_words(d, state, block).inner, blocks, d.dropout_scale);
      }
      dense(w.outer_weight, w.outer_bias, d.width, d.inner, inner, kTokenBlock, narrow, kTokenBlock);
      if (state.masks != nullptr) {
        apply_mask(narrow, d.width, mask_words(d, state, block).outer, blocks, d.dropout_scale);
      }
      add_rows(second, kTokenBlock, d.width, narrow, kTokenBlock);
      layer_norm(narrow, d.width, w.norm2_weight, w.norm2_bias, state.norm2 + n, d.padded, state.scale2 + n,
                 scratch.stream + n, d.padded);
    }
  }
  // [width][padded] -> [cells][width]
  for (int c = 0; c < d.width; ++c) {
    for (int n = 0; n < d.cells; ++n) flat[n * d.width + c] = scratch.stream[c * d.padded + n];
  }
}

void encode_backward(const Dimensions& d, const LayerWeights* weights, const LayerState* states,
                     const float* input, const Scratch& scratch, const float* flat_gradient,
                     const LayerSums* sums) {
  const int blocks = d.padded / kTokenBlock;
  float* narrow = scratch.block;  // [width][kTokenBlock] each
  float* second = narrow + d.width * kTokenBlock;
  float* third = second + d.width * kTokenBlock;
  float* inner = third + d.width * kTokenBlock;  // [inner][kTokenBlock] each
  float* slope = inner + d.inner * kTokenBlock;
  float* back = slope + d.inner * kTokenBlock;
  float* stream = scratch.stream;
  for (int c = 0; c < d.width; ++c) {
    for (int n = 0; n < d.cells; ++n) stream[c * d.padded + n] = flat_gradient[n * d.width + c];
    clear_padding(stream + c * d.padded, d);
  }
  for (int layer = d.layers - 1; layer >= 0; --layer) {
    const LayerWeights& w = weights[layer];
    const LayerState& state = states[layer];
    const LayerSums& sum = sums[layer];
    for (int block = 0; block < blocks; ++block) {
      const int n = block * kTokenBlock;
      layer_norm_backward(stream + n, d.padded, d.width, w.norm2_weight, state.norm2 + n, d.padded,
                          state.scale2 + n, scratch.residual + n, d.padded, sum.norm2_weight, sum.norm2_bias);
      denormalise(d, state.norm1 + n, w.norm1_weight, w.norm1_bias, second);
      dense(w.inner_weight, w.inner_bias, d.inner, d.width, second, kTokenBlock, inner, kTokenBlock);
      for (int i = 0; i < d.inner * kTokenBlock; i += kLanes) {
        const Gelu value = gelu(load(inner + i));
        store(inner + i, value.value);
        store(slope + i, value.derivative);
      }
      for (int c = 0; c < d.width; ++c) {
        for (int v = 0; v < kTokenBlock; v += kLanes) {
          store(third + c * kTokenBlock + v, load(scratch.residual + c * d.padded + n + v));
        }
      }
      if (state.masks != nullptr) {
        const MaskWords words = mask_words(d, state, block);
        apply_mask(inner, d.inner, words.inner, blocks, d.dropout_scale);
        apply_mask(slope, d.inner, words.inner, blocks, d.dropout_scale);
        apply_mask(third, d.width, words.outer, blocks, d.dropout_scale);
      }
      outer(third, kTokenBlock, d.width, inner, kTokenBlock, d.inner, sum.outer_weight, sum.outer_bias);
      for (int i = 0; i < d.inner * kTokenBlock; i += kLanes) store(back + i, Vector{});
      dense_add(w.outer_weight_t, d.inner, d.width, third, kTokenBlock, back, kTokenBlock);
      for (int i = 0; i < d.inner * kTokenBlock; i += kLanes)
        store(back + i, load(back + i) * load(slope + i));
      outer(back, kTokenBlock, d.inner, second, kTokenBlock, d.width, sum.inner_weight, sum.inner_bias);
      dense_add(w.inner_weight_t, d.width, d.inner, back, kTokenBlock, scratch.residual + n, d.padded);
      layer_norm_backward(scratch.residual + n, d.padded, d.width, w.norm1_weight, state.norm1 + n, d.padded,
                          state.scale1 + n, narrow, kTokenBlock, sum.norm1_weight, sum.norm1_bias);
      for (int c = 0; c < d.width; ++c) {
        for (int v = 0; v < kTokenBlock; v += kLanes) {
          store(scratch.residual + c * d.padded + n + v, load(narrow + c * kTokenBlock + v));
        }
      }
      if (state.masks != nullptr) {
        apply_mask(narrow, d.width, mask_words(d, state, block).attention, blocks, d.dropout_scale);
      }
      attention_output(d, state, n, second);
      outer(narrow, kTokenBlock, d.width, second, kTokenBlock, d.width, sum.out_weight, sum.out_bias);
      for (int c = 0; c < d.width; ++c) {
        for (int v = 0; v < kTokenBlock; v += kLanes) {
          store(scratch.mixed_gradient + c * d.padded + n + v, Vector{});
        }
      }
      dense_add(w.out_weight_t, d.width, d.width, narrow, kTokenBlock, scratch.mixed_gradient + n, d.padded);
    }
    attention_backward(d, state, scratch);
    for (int n = 0; n < d.padded; n += kTokenBlock) {
      if (layer == 0) {
        // The samples themselves need no gradient.
        outer(scratch.qkv_gradient + n, d.padded, 3 * d.width, input + n, d.padded, d.width, sum.in_weight,
              sum.in_bias);
        continue;
      }
      const LayerWeights& below = weights[layer - 1];
      denormalise(d, states[layer - 1].norm2 + n, below.norm2_weight, below.norm2_bias, second);
      outer(scratch.qkv_gradient + n, d.padded, 3 * d.width, second, kTokenBlock, d.width, sum.in_weight,
            sum.in_bias);
      for (int c = 0; c < d.width; ++c) {
        for (int v = 0; v < kTokenBlock; v += kLanes) {
          store(stream + c * d.padded + n + v, load(scratch.residual + c * d.padded + n + v));
        }
      }
      dense_add(w.in_weight_t, d.width, 3 * d.width, scratch.qkv_gradient + n, d.padded, stream + n,
                d.padded);
    }
  }
}

}  // namespace
}  // namespace mgrn::model::cpu
