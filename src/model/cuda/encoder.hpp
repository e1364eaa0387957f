// SPDX-License-Identifier: Apache-2.0
// One sample's way through the encoder and back by one block: post-norm layers, H <- LayerNorm(H +
// MultiHead(H)), H <- LayerNorm(H + FFN(H)). A thread keeps a cell's columns in registers; attention is
// shared out panel by panel among groups of threads; the feed-forward net's inner values are recomputed
// backward.
//
// Weight gradients are sums over cells of outer products. A warp puts the factors of 32 cells into a tile of
// shared memory, and each lane sums its elements over the tile: always in the same order, without atomics.
#pragma once

#include "model/cuda/attention.hpp"

namespace mgrn::model::cuda {

/// Rows of shared weights that begin at multiples of 16 bytes are read by fours.
template <int kCount>
MGRN_DEVICE void load_row(const float* row, float (&values)[kCount]) {
  if constexpr (kCount % 4 == 0) {
    MGRN_UNROLL
    for (int i = 0; i < kCount; i += 4) {
      const Four some = four(row + i);
      MGRN_UNROLL
      for (int n = 0; n < 4; ++n) values[i + n] = some.at[n];
    }
  } else {
    MGRN_UNROLL
    for (int i = 0; i < kCount; ++i) values[i] = row[i];
  }
}

/// y = b + W x, W row-major [outs][ins].
template <int kOuts, int kIns>
MGRN_DEVICE void dense(const float* weight, const float* bias, const float (&x)[kIns], float (&y)[kOuts]) {
  load_row(bias, y);
  MGRN_UNROLL
  for (int o = 0; o < kOuts; ++o) {
    float row[kIns];
    load_row(weight + o * kIns, row);
    MGRN_UNROLL
    for (int i = 0; i < kIns; ++i) y[o] = fma(row[i], x[i], y[o]);
  }
}

/// x += W^T g, W row-major [outs][ins].
template <int kOuts, int kIns>
MGRN_DEVICE void dense_back(const float* weight, const float (&g)[kOuts], float (&x)[kIns]) {
  MGRN_UNROLL
  for (int o = 0; o < kOuts; ++o) {
    float row[kIns];
    load_row(weight + o * kIns, row);
    MGRN_UNROLL
    for (int i = 0; i < kIns; ++i) x[i] = fma(row[i], g[o], x[i]);
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
  const float scale = reciprocal_root(fma(variance, kShare, 1e-5f));
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

/// The groups of a block's threads in attention; group `index` takes panels index, index + groups, ...
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

/// planes: weights of the queries, then twice [width][cells], which hold queries and attention's output until
/// they take the gradients of keys and values.
template <int kWidth>
MGRN_DEVICE HeadRowsBack head_rows_back(const float* state, float* planes, int cells, int head) {
  using State = StateLayout<kWidth>;
  const auto row = [&](int first) { return state + static_cast<std::int64_t>(first + head) * cells; };
  float* const one = planes + static_cast<std::int64_t>(kWidth + head) * cells;
  float* const two = planes + static_cast<std::int64_t>(2 * kWidth + head) * cells;
  return {one,
          two,
          planes + static_cast<std::int64_t>(head) * cells,
          row(State::kQuery),
          row(State::kMixed),
          row(State::kKey),
          row(State::kValue),
          one,
          two};
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

/// Plans between a block's room and where they wait for the way back.
template <int kWidth, typename Block>
MGRN_DEVICE void copy_plans(Block& block, const HeadPlan* from, HeadPlan* to) {
  constexpr int kWords = static_cast<int>(kWidth * sizeof(HeadPlan) / sizeof(std::uint32_t));
  const auto* const source = reinterpret_cast<const std::uint32_t*>(from);
  auto* const target = reinterpret_cast<std::uint32_t*>(to);
  for (int i = block.thread(); i < kWords; i += block.threads()) target[i] = source[i];
}

template <typename Block>
MGRN_DEVICE void clear(Block& block, float* values, int count) {
  for (int i = block.thread(); i < count; i += block.threads()) values[i] = 0.0f;
}

/// Inputs -> state, plans and flat. One block per sample.
template <int kWidth>
struct Encode {
  static constexpr int kMostThreads = kThreadsOfSample<kWidth>;
  static constexpr int kBlocksTogether = 1;
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
    auto& room = *reinterpret_cast<AttentionRoom<kWidth>*>(block.shared() + layout.room);
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
      attention_forward(
          block, group, sizes, a.polynomials,
          [&](int head) { return head_rows<kWidth>(state, qkv, cells, head); }, room);
      copy_plans<kWidth>(block, room.plans, plans);
      MGRN_NO_UNROLL
      for (int n = block.thread(); n < cells; n += block.threads()) {
        float mixed[kWidth], x[kWidth];
        load_columns(state + State::kMixed * cells, cells, n, mixed);
        MGRN_UNROLL
        for (int c = 0; c < kWidth; ++c) mixed[c] += room.plans[c].value_middle;
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
  template <int kOuts, int kIns>
  MGRN_DEVICE void add_outer(int at, int g, int x) const {
    add_elements<kOuts * kIns>(at, [&](int element, int begin, int count) {
      const float* const left = tile + (g + element / kIns) * kStride + begin;
      const float* const right = tile + (x + element % kIns) * kStride + begin;
      float totals[4] = {};
      MGRN_UNROLL
      for (int n = 0; n < count; n += 4) {
        const Four one = four(left + n), two = four(right + n);
        MGRN_UNROLL
        for (int k = 0; k < 4; ++k) totals[k] = fma(one.at[k], two.at[k], totals[k]);
      }
      return (totals[0] + totals[1]) + (totals[2] + totals[3]);
    });
  }
  /// sums[at + o] += sum over cells of row g + o.
  template <int kRows>
  MGRN_DEVICE void add_rows(int at, int g) const {
    add_elements<kRows>(at, [&](int row, int begin, int count) {
      const float* const left = tile + (g + row) * kStride + begin;
      float totals[4] = {};
      MGRN_UNROLL
      for (int n = 0; n < count; n += 4) {
        const Four one = four(left + n);
        MGRN_UNROLL
        for (int k = 0; k < 4; ++k) totals[k] += one.at[k];
      }
      return (totals[0] + totals[1]) + (totals[2] + totals[3]);
    });
  }

 private:
  /// Elements by lanes; of the last ones several lanes share each, which then add up.
  template <int kElements, typename Total>
  MGRN_DEVICE void add_elements(int at, const Total& total) const {
    MGRN_NO_UNROLL
    for (int begin = 0; begin + kWarp <= kElements; begin += kWarp) {
      sums[at + begin + lane] += total(begin + lane, 0, kWarp);
    }
    constexpr int kLast = kElements % kWarp;
    if constexpr (kLast > 0) {
      constexpr int kLanes = kLast > 16 ? 1 : kLast > 8 ? 2 : kLast > 4 ? 4 : 8;
      const int mine = lane / kLanes;
      const int element = kElements - kLast + (mine < kLast ? mine : 0);
      const float part = total(element, lane % kLanes * (kWarp / kLanes), kWarp / kLanes);
      const float sum = warp_combine<kLanes>(block, Add{}, part);
      if (mine < kLast && lane % kLanes == 0) sums[at + element] += sum;
    }
  }
};

/// state, plans and the gradient in flat -> partial_sums. One block per sample.
template <int kWidth>
struct EncodeBackward {
  static constexpr int kMostThreads = kThreadsOfSample<kWidth>;
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
    float* planes = block.shared() + layout.planes;
    const float* const key_gradient = planes + kWidth * cells;
    const float* const value_gradient = planes + 2 * kWidth * cells;
    float* weights = block.shared() + layout.weights;
    auto& room = *reinterpret_cast<AttentionRoom<kWidth>*>(block.shared() + layout.room);
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
      copy_plans<kWidth>(block, plans, room.plans);
      clear(block, all_sums, warps * Layer::kFloats);
      block.sync();
      // Whole warps, so that tiles are complete: cells beyond the last have gradient 0.
      MGRN_NO_UNROLL
      for (int first = warp * kWarp; first < cells; first += warps * kWarp) {
        const int n = first + tile.lane;
        before_attention(sizes, weights, state, room.plans, masks, tile, n < cells ? n : cells - 1, n < cells,
                         stream, planes);
      }
      block.sync();
      attention_backward(
          block, group, sizes, a.polynomials,
          [&](int head) { return head_rows_back<kWidth>(state, planes, cells, head); }, room);
      MGRN_NO_UNROLL
      for (int first = warp * kWarp; first < cells; first += warps * kWarp) {
        const int n = first + tile.lane;
        const int cell = n < cells ? n : cells - 1;
        const float share = n < cells ? 1.0f : 0.0f;
        float qkv[3 * kWidth], x[kWidth];
        MGRN_UNROLL
        for (int c = 0; c < kWidth; ++c) {
          qkv[c] = share * state[(State::kSlope + c) * cells + cell];
          qkv[kWidth + c] = share * key_gradient[c * cells + cell];
          qkv[2 * kWidth + c] = share * value_gradient[c * cells + cell];
        }
        load_columns(state + State::kInput * cells, cells, cell, x);
        tile.open();
        tile.put(0, qkv);
        tile.put(3 * kWidth, x);
        tile.close();
        tile.template add_outer<3 * kWidth, kWidth>(Layer::kInWeight, 0, 3 * kWidth);
        tile.template add_rows<3 * kWidth>(Layer::kInBias, 0);
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
  /// gradient of the first residual sum, the state's slopes become the gradients of queries, and planes are
  /// as head_rows_back wants them.
  template <typename Block>
  MGRN_DEVICE static void before_attention(const Sizes& sizes, const float* weights, float* state,
                                           const HeadPlan* plans, const std::uint32_t* masks,
                                           const WarpTile<kWidth, Block>& tile, int n, bool here,
                                           float* stream, float* planes) {
    using Layer = LayerLayout<kWidth>;
    using State = StateLayout<kWidth>;
    const int cells = sizes.cells;
    // All of the state at once: it comes from far.
    float normalised[kWidth], normalised1[kWidth], mixed[kWidth];
    load_columns(state + State::kNorm2 * cells, cells, n, normalised);
    load_columns(state + State::kNorm1 * cells, cells, n, normalised1);
    load_columns(state + State::kMixed * cells, cells, n, mixed);
    const float scale1 = state[State::kScale1 * cells + n], scale2 = state[State::kScale2 * cells + n];
    // And what the same thread needs later.
    MGRN_UNROLL
    for (int c = 0; c < kWidth; ++c) {
      tile.block.prefetch(state + (State::kSlope + c) * cells + n);
      tile.block.prefetch(state + (State::kInverseTotal + c) * cells + n);
      tile.block.prefetch(state + (State::kQuery + c) * cells + n);
      tile.block.prefetch(state + (State::kKey + c) * cells + n);
      tile.block.prefetch(state + (State::kValue + c) * cells + n);
      tile.block.prefetch(state + (State::kInput + c) * cells + n);
    }
    float g[kWidth], product[kWidth];
    load_columns(stream, cells, n, g);
    MGRN_UNROLL
    for (int c = 0; c < kWidth; ++c) {
      g[c] = here ? g[c] : 0.0f;
      product[c] = g[c] * normalised[c];
    }
    tile.open();
    tile.put(0, product);
    tile.put(kWidth, g);
    tile.close();
    tile.template add_rows<kWidth>(Layer::kNorm2Weight, 0);
    tile.template add_rows<kWidth>(Layer::kNorm2Bias, kWidth);
    normalise_back(weights + Layer::kNorm2Weight, normalised, scale2, g);

    // g: of the second residual sum.
    float middle[kWidth], outer[kWidth], inner[Layer::kInner], slope[Layer::kInner];
    MGRN_UNROLL
    for (int c = 0; c < kWidth; ++c) {
      middle[c] = fma(normalised1[c], weights[Layer::kNorm1Weight + c], weights[Layer::kNorm1Bias + c]);
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
    tile.template add_outer<kWidth, Layer::kInner>(Layer::kOuterWeight, 0, kWidth);
    tile.template add_rows<kWidth>(Layer::kOuterBias, 0);
    MGRN_UNROLL
    for (int i = 0; i < Layer::kInner; ++i) inner[i] = 0.0f;
    dense_back(weights + Layer::kOuterWeight, outer, inner);
    MGRN_UNROLL
    for (int i = 0; i < Layer::kInner; ++i) inner[i] *= slope[i];
    tile.open();
    tile.put(0, inner);
    tile.put(Layer::kInner, middle);
    tile.close();
    tile.template add_outer<Layer::kInner, kWidth>(Layer::kInnerWeight, 0, Layer::kInner);
    tile.template add_rows<Layer::kInner>(Layer::kInnerBias, 0);
    dense_back(weights + Layer::kInnerWeight, inner, g);

    // g: of the first norm's output.
    MGRN_UNROLL
    for (int c = 0; c < kWidth; ++c) product[c] = g[c] * normalised1[c];
    tile.open();
    tile.put(0, product);
    tile.put(kWidth, g);
    tile.close();
    tile.template add_rows<kWidth>(Layer::kNorm1Weight, 0);
    tile.template add_rows<kWidth>(Layer::kNorm1Bias, kWidth);
    normalise_back(weights + Layer::kNorm1Weight, normalised1, scale1, g);
    if (here) store_columns(stream, cells, n, g);
    if (masks != nullptr) apply_mask(masks, sizes, n, g);
    float whole[kWidth], back[kWidth] = {};
    MGRN_UNROLL
    for (int c = 0; c < kWidth; ++c) whole[c] = mixed[c] + plans[c].value_middle;
    tile.open();
    tile.put(0, g);
    tile.put(kWidth, whole);
    tile.close();
    tile.template add_outer<kWidth, kWidth>(Layer::kOutWeight, 0, kWidth);
    tile.template add_rows<kWidth>(Layer::kOutBias, 0);
    dense_back(weights + Layer::kOutWeight, g, back);
    if (!here) return;
    MGRN_UNROLL
    for (int c = 0; c < kWidth; ++c) {
      state[(State::kSlope + c) * cells + n] *= back[c];
      planes[c * cells + n] = back[c] * state[(State::kInverseTotal + c) * cells + n];
      planes[(kWidth + c) * cells + n] = state[(State::kQuery + c) * cells + n];
      planes[(2 * kWidth + c) * cells + n] = mixed[c];
    }
  }
};

}  // namespace mgrn::model::cuda
