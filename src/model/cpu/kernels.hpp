// SPDX-License-Identifier: Apache-2.0
// The table of fused CPU kernels, and the plain structs that they work on. One source is compiled once per
// instruction set (kernels_baseline.cpp, kernels_avx2.cpp, kernels_avx512.cpp); the engine picks a table at
// run time. Kernels allocate nothing, keep no state and hold no pointers.
//
// Layout: a sample's activations are structures of arrays, [column][padded], one contiguous row per column,
// `padded` = cells rounded up to kTokenBlock. All rows start on 64 bytes, except those of weights, gradients
// and flattened samples.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mgrn::model::cpu {

/// Added to the variance over cells before its root is taken (Readout::pool).
inline constexpr float kPoolEpsilon = 1e-5f;

/// Cells that the encoder processes together; rows are padded to it, and a dropout word covers one block.
inline constexpr int kTokenBlock = 32;
/// Cells that go through a layer's dense parts together, and the stride of a tile's rows: the sums of weight
/// gradients are loaded and stored once a tile, whose two [inner] buffers stay in the first-level cache.
inline constexpr int kTile = 4 * kTokenBlock;
/// Room for the lanes of the widest instruction set.
inline constexpr int kMaxLanes = 16;
/// Columns that the predictor's kernels take together at most, and a multiple of what each of them takes.
inline constexpr int kLargestStrip = 96;
inline constexpr int kFlatPadding = 96;
/// Columns of all rows, and of a few units, that stay in the first-level cache together.
inline constexpr int kColumnBlock = 512;
/// Room for the terms of the longest exponential polynomial.
inline constexpr int kMaxTerms = 26;
/// Most panels into which linear-time attention splits a head's queries.
inline constexpr int kMaxPanels = 32;

/// How fast weights of keys may fall: e^(-rate x) at x beyond the expansion point.
inline constexpr int kRateCount = 9;
inline constexpr float kRates[kRateCount] = {1.5f, 1.75f, 2.0f, 2.25f, 2.5f, 2.75f, 3.0f, 4.0f, 5.0f};
/// No key is taken for farther off than so many times a polynomial's range.
inline constexpr float kFarthest = 4.0f;

/// exp(range y) ~ sum_m coefficients[m] y^m on |y| <= 1, to 1e-7 of exp's mean over the interval.
struct ExponentialPolynomial {
  float range = 0;
  int terms = 0;
  float coefficients[kMaxTerms] = {};
  /// So many keys may lie beyond the interval, on the side where weights fall at kRates[i], before what the
  /// polynomial gets wrong there can add up to 1e-7.
  float far_keys[kRateCount] = {};
};

/// Polynomials for GELU reach up to these |x|, each with one term more; the range behind them is for any x.
inline constexpr float kGeluLimits[] = {1.2f, 1.65f, 2.05f, 2.45f, 2.85f, 3.25f, 3.65f, 4.0f};
inline constexpr int kLeastGeluTerms = 6;
inline constexpr int kGeluRanges = sizeof(kGeluLimits) / sizeof(float) + 1;

struct Dimensions {
  int cells = 0;
  int padded = 0;
  int width = 0;
  int heads = 0;
  int head_width = 0;
  int inner = 0;  ///< feed-forward width
  int layers = 0;
  int hidden = 0;
  bool linear = false;      ///< try linear-time attention first (head_width 1 only)
  float query_scale = 1;    ///< 1/sqrt(head_width); folded into the prepared query weights
  float dropout_scale = 1;  ///< what kept values are multiplied by
  const ExponentialPolynomial* polynomials = nullptr;  ///< ascending range
  int polynomial_count = 0;
};

/// A dense layer: row-major [out][in], its transpose.
struct DenseWeights {
  const float *weight, *weight_t, *bias;
};

/// One layer's weights as the kernels read them: layer norms and what lies beside them are folded into one
/// another, so that values past a norm are width - 1 coordinates (folded_encoder.hpp).
struct LayerWeights {
  /// [3 width][coordinates], queries scaled, but not in weight_t; the first layer's reads the sample, [3
  /// width][width], and has no weight_t.
  DenseWeights in;
  DenseWeights out;                ///< [coordinates][width]
  const float* past_attention;     ///< [coordinates][coordinates], symmetric: what a layer reads, past it
  DenseWeights inner;              ///< [inner][coordinates]
  DenseWeights outer;              ///< [coordinates][inner]
  const float* past_feed_forward;  ///< [coordinates][coordinates], symmetric
  /// With dropout, which falls on columns: [width][width], [width][inner], and the biases of what goes past
  /// them, which `out` and `outer` hold with their own.
  DenseWeights dropped_out, dropped_outer;
  const float *past_attention_bias, *past_feed_forward_bias;  ///< [coordinates]
  const std::uint8_t* gelu_range;  ///< [inner]: the place among kGeluLimits of what bounds a unit's input
};

struct EncoderWeights {
  const LayerWeights* layers;
  DenseWeights flat;     ///< [width][coordinates]: of the last layer's coordinates, for the predictor
  const float* basis;    ///< [width][coordinates]: columns of coordinates
  const float* basis_t;  ///< [coordinates][width]
};

/// Sums over cells of the gradients of one layer's LayerWeights, in their order, `lanes` floats per element.
/// out_weight and outer_weight are those of dropped_out and dropped_outer where there is dropout, and the two
/// biases are of these alone.
struct LayerSums {
  float *in_weight, *in_bias, *out_weight, *out_bias, *inner_weight, *inner_bias, *outer_weight, *outer_bias;
  float *past_attention, *past_attention_bias, *past_feed_forward, *past_feed_forward_bias;
};

struct EncoderSums {
  const LayerSums* layers;
  float *flat_weight, *flat_bias;
};

/// A range of a head's queries that shares one expansion point.
struct Panel {
  float query_centre;
  float key_centre;    ///< relative to the head's middle key
  float query_scale;   ///< t = (q - query_centre) / query_scale
  float inverse_span;  ///< s = (k - key_centre) * inverse_span
  int polynomial;
  int begin, end;  ///< slots of its queries, multiples of kTokenBlock
};

/// How one head of one sample was computed forward, which is how it must be computed backward.
struct HeadPlan {
  int panels = 0;      ///< 0: quadratic
  float key_half = 0;  ///< half the range of the keys
  Panel panel[kMaxPanels] = {};
};

/// What a layer's forward pass leaves for its backward pass, per sample.
struct LayerState {
  float* qkv;              ///< [3 width][padded], queries scaled; for head_width 1 keys and values centred
  float* mixed;            ///< [width][padded]: attention output less `centre`
  float* slope;            ///< [width][padded]: d output / d query, head_width 1 only
  float* inverse_total;    ///< [heads][padded]: 1 / sum of a row's exponentials
  float* row_max;          ///< [heads][padded], head_width > 1 only
  float* key_weight;       ///< [heads][padded]: the keys' weights where a head has one panel
  float *norm1, *norm2;    ///< [coordinates][padded]: what the layer norms give, before scale and shift
  float *scale1, *scale2;  ///< [padded]: 1 / standard deviation
  float* centre;           ///< [width]: middle of the values, which `mixed` lacks
  /// [heads][kSortedRows][slots]: queries, their mixed and their inverse_total in the panels' order, when
  /// there are several: the way back then need not sort them again.
  float* sorted;
  int* panel_of;   ///< [heads][padded]: a query's panel, when there are several
  HeadPlan* plan;  ///< [heads]
  /// Dropout words [width + inner + width][padded / kTokenBlock] of the three sites; null without dropout.
  const std::uint32_t* masks;
};

/// Work space of one engine; sizes are in fused_engine.cpp.
struct Scratch {
  float* stream;          ///< [coordinates][padded]: what the first layer reads, past it; a layer's gradient
  float* residual;        ///< [coordinates][padded]
  float* mixed_gradient;  ///< [width][padded]; that of the flattened sample before it
  float* qkv_gradient;    ///< [3 width][padded]
  float* rows;            ///< [kScratchRows][slots]
  float* block;           ///< [2 inner + 2 width][kTile]
  float* column;          ///< [width]
};
inline constexpr int kScratchRows = 4;
inline constexpr int kSortedRows = 3;
/// Slots of queries sorted by panel: every panel starts on a block.
inline constexpr int slots(int padded) {
  return padded + kMaxPanels * kTokenBlock;
}

/// Micro-batches whose predictor weight gradient is not yet summed.
inline constexpr int kMostPending = 8;
struct PendingGradients {
  int count = 0;
  const float* flat[kMostPending] = {};             ///< [rows][flat_stride] each
  const float* hidden_gradient[kMostPending] = {};  ///< [rows][units] each
};

/// Floats of work space that lists of the gradients that are not zero need: the lists' lengths, and each
/// gradient with its place.
inline constexpr std::size_t gradient_lists_room(std::size_t gradients, std::size_t lists) {
  return lists + 2 * gradients;
}
/// The same for the predictor's ways back, with the copy of a strip where they make one.
inline constexpr std::size_t flat_gradient_room(std::size_t rows, std::size_t units) {
  return gradient_lists_room(rows * units, rows);
}
inline constexpr std::size_t weight_gradient_room(std::size_t rows, std::size_t units, std::size_t batches) {
  return batches * rows * kLargestStrip + gradient_lists_room(batches * rows * units, batches * units);
}

struct Kernels {
  const char* name;
  int lanes;
  /// sample [cells][width] plus positions [width][padded] -> input [width][padded], which the way back needs
  /// again -> flat [cells * width], cell by cell.
  void (*encode)(const Dimensions&, const EncoderWeights&, const LayerState*, const float* sample,
                 const float* positions, float* input, const Scratch&, float* flat);
  /// flat_gradient [cells * width] -> added to sums, which start at zero.
  void (*encode_backward)(const Dimensions&, const EncoderWeights&, const LayerState*, const float* input,
                          const Scratch&, const float* flat_gradient, const EncoderSums&);
  /// hidden[rows][units] = max(0, bias + flat weight^T); each value's sum is independent of the other rows.
  /// work: [units][rows][lanes] and [rows][kColumnBlock].
  void (*predictor)(int rows, int units, int columns, const float* flat, int flat_stride, const float* weight,
                    const float* bias, float* work, float* hidden);
  /// The weights once more, strip by strip, as predictor_flat_gradient reads them: [units][flat_stride]
  /// floats.
  void (*predictor_strips)(int units, int columns, const float* weight, float* strips);
  /// flat_gradient = hidden_gradient weight. work: flat_gradient_room(rows, units).
  void (*predictor_flat_gradient)(int rows, int units, int columns, int flat_stride, const float* strips,
                                  const float* hidden_gradient, float* work, float* flat_gradient);
  /// weight_gradient [units][columns] = hidden_gradient^T flat. work: weight_gradient_room(rows, units, 1).
  void (*predictor_weight_gradient)(int rows, int units, int columns, const float* flat, int flat_stride,
                                    const float* hidden_gradient, float* work, float* weight_gradient);
  /// The same float32 values of each pending micro-batch, added to `sum` in fixed point (fixed_point.hpp)
  /// with factor 2^scale; the first addition overwrites where asked to. largest[b]: raised to the largest
  /// magnitude. work: weight_gradient_room(rows, units, pending.count).
  void (*predictor_exact_weight_gradient)(int rows, int units, int columns, const PendingGradients&,
                                          int flat_stride, double factor, bool overwrite, float* work,
                                          std::uint64_t* sum, std::uint32_t* largest);
  /// total[i] += part[i], part[i] = 0; lanes are kept.
  void (*drain)(float* part, int count, float* total);
  /// values[i] = sum of the i-th group of lanes.
  void (*collapse)(const float* lanes, int count, float* values);
  /// The pooling readout: see pool.hpp.
  void (*dense)(int inputs, int units, int padded, const float* x, const float* weight, const float* bias,
                const float* gate, bool rectify, float* y);
  void (*dense_gradient)(int inputs, int units, int padded, const float* x, const float* slope,
                         float* weight_gradient, float* bias_gradient);
  void (*pool)(int units, int cells, int padded, float* h, int stride, float* mean, float* deviation);
  void (*pool_backward)(int units, int cells, int padded, const float* h, int stride, const float* mean,
                        const float* deviation, const float* mean_slope, const float* deviation_slope,
                        float* slope);
  /// For tests: attention of all heads, state.qkv -> state.mixed, and its way back, scratch.mixed_gradient ->
  /// scratch.qkv_gradient. Padding of qkv repeats the last cell, padding of the gradient is 0.
  void (*attention)(const Dimensions&, const LayerState&, const Scratch&);
  void (*attention_backward)(const Dimensions&, const LayerState&, const Scratch&);
  /// For tests: exp on [-87.3, 0] of `count` (a multiple of kMaxLanes) values.
  void (*exponential)(const float* x, int count, float* y);
  /// For tests: x = GELU(x), with its derivative where that is not null, of `count` (a multiple of
  /// kTokenBlock) values within the range's limit. Both give the same values.
  void (*gelu)(float* x, int count, std::uint8_t range, float* derivative);
};

const Kernels& baseline_kernels();
/// Null where the build has no such kernels.
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();

}  // namespace mgrn::model::cpu
