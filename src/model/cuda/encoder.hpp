// SPDX-License-Identifier: Apache-2.0
// One sample's way through the encoder and back by one block: post-norm layers, H <- LayerNorm(H +
// MultiHead(H)), H <- LayerNorm(H + FFN(H)). A thread keeps a cell's columns in registers; attention is
// shared out head by head among groups of threads; the feed-forward net's inner values are recomputed
// backward.
//
// Weight gradients are sums over cells of outer products. A warp puts the factors of 32 cells into a tile of
// shared memory, and each lane sums its elements over the tile: always in the same order, without atomics.
#pragma once

#include "model/cuda/attention.hpp"

namespace mgrn::model::cuda {

/// y = b + W x, W row-major [outs][ins].
template <int kOuts, int kIns>
MGRN_DEVICE void dense(const float* weight, const float* bias, const float (&x)[kIns], float (&y)[kOuts]) {
  MGRN_UNROLL
  for (int o = 0; o < kOuts; ++o) {
    y[o] = bias[o];
    MGRN_UNROLL
    for (int i = 0; i < kIns; ++i) y[o] = fma(weight[o * kIns + i], x[i], y[o]);
  }
}

/// x += W^T g, W row-major [outs][ins].
template <int kOuts, int kIns>
MGRN_DEVICE void dense_back(const float* weight, const float (&g)[kOuts], float (&x)[kIns]) {
  MGRN_UNROLL
  for (int i = 0; i < kIns; ++i) {
    MGRN_UNROLL
    for (int o = 0; o < kOuts; ++o) x[i] = fma(weight[o * kIns + i], g[o], x[i]);
  }
}

/// Normalises x; returns 1 / standard deviation.
template <int kWidth>
MGRN_DEVICE float normalise(float (&x)[kWidth]) {
  constexpr float kShare = 1.0f / static_cast<float>(kWidth);
  float mean = 0.0f;
  MGRN_UNROLL
  for (int c = 0; c < kWidth; ++c) mean += x[c];
  mean *= kShare;
  float variance = 0.0f;
  MGRN_UNROLL
  for (int c = 0; c < kWidth; ++c) variance = fma(x[c] - mean, x[c] - mean, variance);
  const float scale = 1.0f / sqrtf(fma(variance, kShare, 1e-5f));
  MGRN_UNROLL
  for (int c = 0; c < kWidth; ++c) x[c] = (x[c] - mean) * scale;
  return scale;
}

/// Gradient of the norm's output -> of its input.
template <int kWidth>
MGRN_DEVICE void normalise_back(const float* weight, const float (&normalised)[kWidth], float scale,
                                float (&g)[kWidth]) {
  constexpr float kShare = 1.0f / static_cast<float>(kWidth);
  float mean = 0.0f, along = 0.0f;
  MGRN_UNROLL
  for (int c = 0; c < kWidth; ++c) {
    g[c] *= weight[c];
    mean += g[c];
    along = fma(g[c], normalised[c], along);
  }
  mean *= kShare;
  along *= kShare;
  MGRN_UNROLL
  for (int c = 0; c < kWidth; ++c) g[c] = ((g[c] - mean) - normalised[c] * along) * scale;
}

/// Keeps what the mask's words of these columns keep, scaled.
template <int kColumns>
MGRN_DEVICE void apply_mask(const std::uint32_t* words, const Sizes& sizes, int cell, float (&x)[kColumns]) {
  MGRN_UNROLL
  for (int c = 0; c < kColumns; ++c) {
    const bool kept = (words[c * sizes.mask_words + cell / 32] >> (cell % 32) & 1u) != 0;
    x[c] = kept ? x[c] * sizes.dropout_scale : 0.0f;
  }
}

/// One column per row of a matrix of [cells] rows.
template <int kColumns>
MGRN_DEVICE void load_columns(const float* rows, int cells, int cell, float (&x)[kColumns]) {
  MGRN_UNROLL
  for (int c = 0; c < kColumns; ++c) x[c] = rows[c * cells + cell];
}
template <int kColumns>
MGRN_DEVICE void store_columns(float* rows, int cells, int cell, const float (&x)[kColumns]) {
  MGRN_UNROLL
  for (int c = 0; c < kColumns; ++c) rows[c * cells + cell] = x[c];
}

template <int kWidth, typename Block>
MGRN_DEVICE void load_weights(Block& block, const float* layer, float* shared) {
  for (int i = block.thread(); i < LayerLayout<kWidth>::kFloats; i += block.threads()) shared[i] = layer[i];
}

/// The groups of a block's threads in attention; group `index` takes heads index, index + groups, ...
template <int kWidth, typename Block>
MGRN_DEVICE Group<Block> make_group(Block& block, const Sizes& sizes, float* scratch) {
  const int threads = block.threads() / sizes.groups;
  const int index = block.thread() / threads;
  return {block, index, threads, block.thread() % threads, reinterpret_cast<GroupScratch*>(scratch) + index};
}

template <int kWidth>
MGRN_DEVICE HeadRows head_rows(float* state, const float* qkv, int cells, int head) {
  using State = StateLayout<kWidth>;
  const auto row = [&](int first) { return state + static_cast<std::int64_t>(first + head) * cells; };
  return {qkv + static_cast<std::int64_t>(head) * cells,
          qkv + static_cast<std::int64_t>(kWidth + head) * cells,
          qkv + static_cast<std::int64_t>(2 * kWidth + head) * cells,
          row(State::kMixed),
          row(State::kSlope),
          row(State::kInverseTotal)};
}

/// What a layer leaves of one sample for its way back, and its dropout masks, null without.
struct LayerPlace {
  float* state;
  HeadPlan* plans;
  const std::uint32_t* masks;
};

template <int kWidth>
MGRN_DEVICE LayerPlace layer_place(const EncoderArguments& a, std::int64_t sample, int layer) {
  const std::int64_t place = sample * a.sizes.layers + layer;
  return {a.state + place * StateLayout<kWidth>::kRows * a.sizes.cells, a.plans + place * kWidth,
          a.masks == nullptr ? nullptr : a.masks + place * 6 * kWidth * a.sizes.mask_words};
}

template <typename Block>
MGRN_DEVICE void clear(Block& block, float* values, int count) {
  for (int i = block.thread(); i < count; i += block.threads()) values[i] = 0.0f;
}

/// Inputs -> state, plans and flat. One block per sample.
template <int kWidth>
struct Encode {
  static constexpr int kMostThreads = kThreads;
  /// Blocks of a multiprocessor that the registers are to suffice for.
  static constexpr int kBlocksTogether = kWidth <= 4 ? 2 : 1;
  EncoderArguments a;

  template <typename Block>
  MGRN_DEVICE void operator()(Block& block) const {
    using Layer = LayerLayout<kWidth>;
    using State = StateLayout<kWidth>;
    const Sizes& sizes = a.sizes;
    const int cells = sizes.cells;
    const std::int64_t sample = block.block();
    const int columns = cells * kWidth;
    float* flat = a.flat + sample * columns;
    if (a.sample_weights[sample] == 0.0f) {
      clear(block, flat, columns);
      return;
    }
    const SharedLayout<kWidth> layout(sizes, false);
    float* stream = block.shared() + layout.stream;
    float* qkv = block.shared() + layout.planes;
    float* weights = block.shared() + layout.weights;
    const Group<Block> group = make_group<kWidth>(block, sizes, block.shared() + layout.scratch);
    const float* input = a.inputs + sample * columns;
    for (int n = block.thread(); n < cells; n += block.threads()) {
      MGRN_UNROLL
      for (int c = 0; c < kWidth; ++c) {
        stream[c * cells + n] = input[n * kWidth + c] + a.positions[n * kWidth + c];
      }
    }
    MGRN_NO_UNROLL
    for (int layer = 0; layer < sizes.layers; ++layer) {
      const auto [state, plans, masks] = layer_place<kWidth>(a, sample, layer);
      block.sync();
      load_weights<kWidth>(block, a.weights + std::int64_t{layer} * Layer::kFloats, weights);
      block.sync();
      MGRN_NO_UNROLL
      for (int n = block.thread(); n < cells; n += block.threads()) {
        float x[kWidth], y[3 * kWidth];
        load_columns(stream, cells, n, x);
        dense(weights + Layer::kInWeight, weights + Layer::kInBias, x, y);
        store_columns(qkv, cells, n, y);
        store_columns(state + State::kInput * cells, cells, n, x);
        store_columns(state + State::kQuery * cells, cells, n, y);
      }
      block.sync();
      MGRN_NO_UNROLL
      for (int head = group.index; head < kWidth; head += sizes.groups) {
        attention_forward(group, sizes, a.polynomials, head_rows<kWidth>(state, qkv, cells, head),
                          plans[head]);
      }
      block.sync();
      MGRN_NO_UNROLL
      for (int n = block.thread(); n < cells; n += block.threads()) {
        float mixed[kWidth], x[kWidth];
        load_columns(state + State::kMixed * cells, cells, n, mixed);
        MGRN_UNROLL
        for (int c = 0; c < kWidth; ++c) mixed[c] += plans[c].value_middle;
        dense(weights + Layer::kOutWeight, weights + Layer::kOutBias, mixed, x);
        if (masks != nullptr) apply_mask(masks, sizes, n, x);
        MGRN_UNROLL
        for (int c = 0; c < kWidth; ++c) x[c] += stream[c * cells + n];
        state[State::kScale1 * cells + n] = normalise(x);
        store_columns(state + State::kNorm1 * cells, cells, n, x);
        float inner[Layer::kInner], outer[kWidth];
        MGRN_UNROLL
        for (int c = 0; c < kWidth; ++c) {
          x[c] = fma(x[c], weights[Layer::kNorm1Weight + c], weights[Layer::kNorm1Bias + c]);
        }
        dense(weights + Layer::kInnerWeight, weights + Layer::kInnerBias, x, inner);
        MGRN_UNROLL
        for (int i = 0; i < Layer::kInner; ++i) inner[i] = gelu(inner[i]);
        if (masks != nullptr) apply_mask(masks + kWidth * sizes.mask_words, sizes, n, inner);
        dense(weights + Layer::kOuterWeight, weights + Layer::kOuterBias, inner, outer);
        if (masks != nullptr) apply_mask(masks + 5 * kWidth * sizes.mask_words, sizes, n, outer);
        MGRN_UNROLL
        for (int c = 0; c < kWidth; ++c) outer[c] += x[c];
        state[State::kScale2 * cells + n] = normalise(outer);
        store_columns(state + State::kNorm2 * cells, cells, n, outer);
        MGRN_UNROLL
        for (int c = 0; c < kWidth; ++c) {
          const float value = fma(outer[c], weights[Layer::kNorm2Weight + c], weights[Layer::kNorm2Bias + c]);
          stream[c * cells + n] = value;
          if (layer == sizes.layers - 1) flat[n * kWidth + c] = value;
        }
      }
    }
  }
};

/// The factors of 32 cells' outer products, and a warp's sums of them.
template <int kWidth, typename Block>
struct WarpTile {
  Block& block;
  float* tile;
  float* sums;
  int lane;

  static constexpr int kStride = SharedLayout<kWidth>::kTileStride;

  /// The tile may be written: all lanes have read what was in it.
  MGRN_DEVICE void open() const { block.sync_warp(); }
  /// The tile may be read.
  MGRN_DEVICE void close() const { block.sync_warp(); }

  template <int kCount>
  MGRN_DEVICE void put(int row, const float (&x)[kCount]) const {
    MGRN_UNROLL
    for (int i = 0; i < kCount; ++i) tile[(row + i) * kStride + lane] = x[i];
  }
  /// sums[at + o * ins + i] += sum over cells of rows g + o and x + i.
  MGRN_DEVICE void add_outer(int at, int g, int outs, int x, int ins) const {
    MGRN_NO_UNROLL
    for (int element = lane; element < outs * ins; element += kWarp) {
      const float* left = tile + (g + element / ins) * kStride;
      const float* right = tile + (x + element % ins) * kStride;
      float total = 0.0f;
      MGRN_UNROLL
      for (int n = 0; n < kWarp; ++n) total = fma(left[n], right[n], total);
      sums[at + element] += total;
    }
  }
  /// sums[at + o] += sum over cells of row g + o.
  MGRN_DEVICE void add_rows(int at, int g, int count) const {
    MGRN_NO_UNROLL
    for (int row = lane; row < count; row += kWarp) {
      const float* left = tile + (g + row) * kStride;
      float total = 0.0f;
      MGRN_UNROLL
      for (int n = 0; n < kWarp; ++n) total += left[n];
      sums[at + row] += total;
    }
  }
};

/// state, plans and the gradient in flat -> partial_sums. One block per sample.
template <int kWidth>
struct EncodeBackward {
  static constexpr int kMostThreads = kThreads;
  /// Not two: at 128 registers a thread sm_80 spills.
  static constexpr int kBlocksTogether = 1;
  EncoderArguments a;

  template <typename Block>
  MGRN_DEVICE void operator()(Block& block) const {
    using Layer = LayerLayout<kWidth>;
    using State = StateLayout<kWidth>;
    const Sizes& sizes = a.sizes;
    const int cells = sizes.cells;
    const std::int64_t sample = block.block();
    float* partial = a.partial_sums + sample * sizes.layers * Layer::kFloats;
    if (a.sample_weights[sample] == 0.0f) {
      clear(block, partial, sizes.layers * Layer::kFloats);
      return;
    }
    const SharedLayout<kWidth> layout(sizes, true);
    float* stream = block.shared() + layout.stream;
    float* mixed_gradient = block.shared() + layout.planes;
    float* key_gradient = mixed_gradient + kWidth * cells;
    float* value_gradient = key_gradient + kWidth * cells;
    float* weights = block.shared() + layout.weights;
    const Group<Block> group = make_group<kWidth>(block, sizes, block.shared() + layout.scratch);
    const int warp = block.thread() / kWarp;
    const int warps = block.threads() / kWarp;
    float* all_sums = block.shared() + layout.sums;
    const WarpTile<kWidth, Block> tile{
        block, block.shared() + layout.tiles + warp * SharedLayout<kWidth>::kTileFloats,
        all_sums + warp * Layer::kFloats, block.thread() % kWarp};
    const float* flat = a.flat + sample * cells * kWidth;
    for (int n = block.thread(); n < cells; n += block.threads()) {
      MGRN_UNROLL
      for (int c = 0; c < kWidth; ++c) stream[c * cells + n] = flat[n * kWidth + c];
    }
    MGRN_NO_UNROLL
    for (int layer = sizes.layers - 1; layer >= 0; --layer) {
      const auto [state, plans, masks] = layer_place<kWidth>(a, sample, layer);
      block.sync();
      load_weights<kWidth>(block, a.weights + std::int64_t{layer} * Layer::kFloats, weights);
      clear(block, all_sums, warps * Layer::kFloats);
      block.sync();
      // Whole warps, so that tiles are complete: cells beyond the last have gradient 0.
      MGRN_NO_UNROLL
      for (int first = warp * kWarp; first < cells; first += warps * kWarp) {
        const int n = first + tile.lane;
        before_attention(sizes, weights, state, plans, masks, tile, n < cells ? n : cells - 1, n < cells,
                         stream, mixed_gradient);
      }
      block.sync();
      MGRN_NO_UNROLL
      for (int head = group.index; head < kWidth; head += sizes.groups) {
        attention_backward(group, sizes, a.polynomials,
                           head_rows<kWidth>(state, state + State::kQuery * cells, cells, head), plans[head],
                           mixed_gradient + head * cells, key_gradient + head * cells,
                           value_gradient + head * cells);
      }
      block.sync();
      MGRN_NO_UNROLL
      for (int first = warp * kWarp; first < cells; first += warps * kWarp) {
        const int n = first + tile.lane;
        const int cell = n < cells ? n : cells - 1;
        const float share = n < cells ? 1.0f : 0.0f;
        float qkv[3 * kWidth], x[kWidth];
        MGRN_UNROLL
        for (int c = 0; c < kWidth; ++c) {
          qkv[c] = share * mixed_gradient[c * cells + cell] * state[(State::kSlope + c) * cells + cell];
          qkv[kWidth + c] = share * key_gradient[c * cells + cell];
          qkv[2 * kWidth + c] = share * value_gradient[c * cells + cell];
        }
        load_columns(state + State::kInput * cells, cells, cell, x);
        tile.open();
        tile.put(0, qkv);
        tile.put(3 * kWidth, x);
        tile.close();
        tile.add_outer(Layer::kInWeight, 0, 3 * kWidth, 3 * kWidth, kWidth);
        tile.add_rows(Layer::kInBias, 0, 3 * kWidth);
        // The samples themselves need no gradient.
        if (layer > 0 && n < cells) {
          load_columns(stream, cells, n, x);
          dense_back(weights + Layer::kInWeight, qkv, x);
          store_columns(stream, cells, n, x);
        }
      }
      block.sync();
      for (int i = block.thread(); i < Layer::kFloats; i += block.threads()) {
        float total = all_sums[i];
        for (int other = 1; other < warps; ++other) total += all_sums[other * Layer::kFloats + i];
        partial[layer * Layer::kFloats + i] = total;
      }
    }
  }

 private:
  /// One cell per lane, from the layer's output back to the gradient of attention: stream becomes the
  /// gradient of the first residual sum.
  template <typename Block>
  MGRN_DEVICE static void before_attention(const Sizes& sizes, const float* weights, const float* state,
                                           const HeadPlan* plans, const std::uint32_t* masks,
                                           const WarpTile<kWidth, Block>& tile, int n, bool here,
                                           float* stream, float* mixed_gradient) {
    using Layer = LayerLayout<kWidth>;
    using State = StateLayout<kWidth>;
    const int cells = sizes.cells;
    float g[kWidth], normalised[kWidth], product[kWidth];
    load_columns(stream, cells, n, g);
    load_columns(state + State::kNorm2 * cells, cells, n, normalised);
    MGRN_UNROLL
    for (int c = 0; c < kWidth; ++c) {
      g[c] = here ? g[c] : 0.0f;
      product[c] = g[c] * normalised[c];
    }
    tile.open();
    tile.put(0, product);
    tile.put(kWidth, g);
    tile.close();
    tile.add_rows(Layer::kNorm2Weight, 0, kWidth);
    tile.add_rows(Layer::kNorm2Bias, kWidth, kWidth);
    normalise_back(weights + Layer::kNorm2Weight, normalised, state[State::kScale2 * cells + n], g);

    // g: of the second residual sum.
    float middle[kWidth], outer[kWidth], inner[Layer::kInner], slope[Layer::kInner];
    load_columns(state + State::kNorm1 * cells, cells, n, normalised);
    MGRN_UNROLL
    for (int c = 0; c < kWidth; ++c) {
      middle[c] = fma(normalised[c], weights[Layer::kNorm1Weight + c], weights[Layer::kNorm1Bias + c]);
      outer[c] = g[c];
    }
    dense(weights + Layer::kInnerWeight, weights + Layer::kInnerBias, middle, inner);
    MGRN_UNROLL
    for (int i = 0; i < Layer::kInner; ++i) {
      const GeluWithSlope value = gelu_with_slope(inner[i]);
      inner[i] = value.value;
      slope[i] = value.slope;
    }
    if (masks != nullptr) {
      apply_mask(masks + kWidth * sizes.mask_words, sizes, n, inner);
      apply_mask(masks + kWidth * sizes.mask_words, sizes, n, slope);
      apply_mask(masks + 5 * kWidth * sizes.mask_words, sizes, n, outer);
    }
    tile.open();
    tile.put(0, outer);
    tile.put(kWidth, inner);
    tile.close();
    tile.add_outer(Layer::kOuterWeight, 0, kWidth, kWidth, Layer::kInner);
    tile.add_rows(Layer::kOuterBias, 0, kWidth);
    MGRN_UNROLL
    for (int i = 0; i < Layer::kInner; ++i) inner[i] = 0.0f;
    dense_back(weights + Layer::kOuterWeight, outer, inner);
    MGRN_UNROLL
    for (int i = 0; i < Layer::kInner; ++i) inner[i] *= slope[i];
    tile.open();
    tile.put(0, inner);
    tile.put(Layer::kInner, middle);
    tile.close();
    tile.add_outer(Layer::kInnerWeight, 0, Layer::kInner, Layer::kInner, kWidth);
    tile.add_rows(Layer::kInnerBias, 0, Layer::kInner);
    dense_back(weights + Layer::kInnerWeight, inner, g);

    // g: of the first norm's output.
    MGRN_UNROLL
    for (int c = 0; c < kWidth; ++c) product[c] = g[c] * normalised[c];
    tile.open();
    tile.put(0, product);
    tile.put(kWidth, g);
    tile.close();
    tile.add_rows(Layer::kNorm1Weight, 0, kWidth);
    tile.add_rows(Layer::kNorm1Bias, kWidth, kWidth);
    normalise_back(weights + Layer::kNorm1Weight, normalised, state[State::kScale1 * cells + n], g);
    if (here) store_columns(stream, cells, n, g);
    if (masks != nullptr) apply_mask(masks, sizes, n, g);
    float mixed[kWidth], back[kWidth] = {};
    load_columns(state + State::kMixed * cells, cells, n, mixed);
    MGRN_UNROLL
    for (int c = 0; c < kWidth; ++c) mixed[c] += plans[c].value_middle;
    tile.open();
    tile.put(0, g);
    tile.put(kWidth, mixed);
    tile.close();
    tile.add_outer(Layer::kOutWeight, 0, kWidth, kWidth, kWidth);
    tile.add_rows(Layer::kOutBias, 0, kWidth);
    dense_back(weights + Layer::kOutWeight, g, back);
    if (here) store_columns(mixed_gradient, cells, n, back);
  }
};

}  // namespace mgrn::model::cuda
