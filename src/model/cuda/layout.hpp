// SPDX-License-Identifier: Apache-2.0
// Plain structs that host and kernels share, and where things lie in memory.
//
// A block computes one sample. Its activations, rows of [cells] per column, live in shared memory as long as
// only this pass needs them; what the way back needs goes to global memory (State), where it stays in the
// second-level cache at the usual sizes.
#pragma once

#include "model/cuda/portable.hpp"

namespace mgrn::model::cuda {

inline constexpr int kWarp = 32;
/// Room for the terms of an exponential polynomial: accumulators of moments are registers.
inline constexpr int kTerms = 21;
inline constexpr int kPanels = 32;
/// Threads of a block of the small kernels.
inline constexpr int kThreads = 256;
/// Threads of a block that computes a sample. With so few samples that each has a multiprocessor for itself,
/// more threads end sooner; with many, several blocks share one and hide each other's waits.
inline constexpr int kFewSamples = 160;
inline constexpr int kThreadsOfFew = 512;
inline constexpr int kThreadsOfMany = 256;
/// The most of them: wider models need more registers for each thread.
template <int kWidth>
inline constexpr int kThreadsOfSample = kWidth <= 4 ? kThreadsOfFew : kThreadsOfMany;
/// Groups of a block's threads, one panel of a head each at a time. A GPU has 16 named barriers, and the
/// block needs one.
inline constexpr int kMostGroups = 8;
inline constexpr int kMostGroupWarps = 4;
/// Panels whose series lie in shared memory at once.
inline constexpr int kSlots = 16;

/// Where samples are drawn from (model/held_samples.hpp DrawFrom).
inline constexpr int kFromBoth = 0, kFromEither = 1, kFromAll = 2;

/// exp(range y) ~ sum_m coefficients[m] y^m on |y| <= 1.
struct Polynomial {
  float range;
  int terms;
  float coefficients[kTerms];
};

/// A range of a head's queries that shares one expansion point.
struct Panel {
  float query_centre;
  float key_centre;   ///< relative to the head's middle key
  float query_scale;  ///< t = (q - query_centre) / query_scale
  float inverse_scale;
  float inverse_span;  ///< s = (k - key_centre) * inverse_span
  int polynomial;      ///< -1: no query lies here
};

/// How one head of one sample was computed forward, which is how it must be computed backward.
struct HeadPlan {
  int panels;  ///< 0: quadratic
  float key_middle, key_half, value_middle;
  float query_low, inverse_panel_width;
  Panel panel[kPanels];
};

struct Sizes {
  int samples;  ///< rows of the micro-batch
  int cells;
  int layers;
  int hidden;
  int mask_words;  ///< 32-bit words per column of a dropout mask: cells / 32, rounded up
  int groups;      ///< groups of threads in attention
  int threads;     ///< per block; a multiple of groups * 32
  float dropout_scale;
  int polynomial_count;
};

/// Offsets of one layer's tensors, in the order and with the gaps of Parameters::views(), in floats.
template <int kWidth>
struct LayerLayout {
  static constexpr int rounded(int count) { return (count + 15) / 16 * 16; }
  static constexpr int kInner = 4 * kWidth;
  static constexpr int kInWeight = 0;
  static constexpr int kInBias = kInWeight + rounded(3 * kWidth * kWidth);
  static constexpr int kOutWeight = kInBias + rounded(3 * kWidth);
  static constexpr int kOutBias = kOutWeight + rounded(kWidth * kWidth);
  static constexpr int kInnerWeight = kOutBias + rounded(kWidth);
  static constexpr int kInnerBias = kInnerWeight + rounded(kInner * kWidth);
  static constexpr int kOuterWeight = kInnerBias + rounded(kInner);
  static constexpr int kOuterBias = kOuterWeight + rounded(kWidth * kInner);
  static constexpr int kNorm1Weight = kOuterBias + rounded(kWidth);
  static constexpr int kNorm1Bias = kNorm1Weight + rounded(kWidth);
  static constexpr int kNorm2Weight = kNorm1Bias + rounded(kWidth);
  static constexpr int kNorm2Bias = kNorm2Weight + rounded(kWidth);
  static constexpr int kFloats = kNorm2Bias + rounded(kWidth);
};

/// What a layer's forward pass leaves for its way back: rows of [cells], one after another.
template <int kWidth>
struct StateLayout {
  static constexpr int kInput = 0;
  static constexpr int kQuery = kInput + kWidth;
  static constexpr int kKey = kQuery + kWidth;
  static constexpr int kValue = kKey + kWidth;
  static constexpr int kMixed = kValue + kWidth;  ///< attention output less value_middle
  static constexpr int kSlope = kMixed + kWidth;  ///< d output / d query
  static constexpr int kInverseTotal = kSlope + kWidth;
  static constexpr int kNorm1 = kInverseTotal + kWidth;  ///< normalised, before weight and bias
  static constexpr int kNorm2 = kNorm1 + kWidth;
  static constexpr int kScale1 = kNorm2 + kWidth;  ///< 1 / standard deviation
  static constexpr int kScale2 = kScale1 + 1;
  static constexpr int kRows = kScale2 + 1;
};

/// A group's work space: sums per warp and over all, two rounds of 32.
struct GroupScratch {
  float sums[kMostGroupWarps][2 * kWarp];
  float totals[2 * kWarp];
};

/// What one panel's sums over cells amount to: up to four polynomials, a term of each side by side.
struct alignas(16) Slot {
  float series[kTerms][4];
  float kappa;  ///< forward: what bounds the first polynomial's rounding
  int terms;
};

/// How far a head's choice of panels has come; `panels` of its plan are being tried.
struct Trial {
  float width;  ///< of the range of queries
  int pending;  ///< 1: not decided yet
  int failed;   ///< 1: a condition of the method does not hold
};

/// What a block's threads share of one layer's attention.
template <int kWidth>
struct AttentionRoom {
  Slot slots[kSlots];
  HeadPlan plans[kWidth];
  Trial trials[kWidth];
};

/// Floats of shared memory, and where the parts begin.
template <int kWidth>
struct SharedLayout {
  int stream = 0;
  int planes, weights, scratch, room, tiles, sums, floats;

  /// Forward: the stream and queries, keys, values. Backward: the stream's gradient, the weight of each
  /// query, the gradients of keys and values, a tile of 32 cells and weight sums per warp.
  MGRN_BOTH SharedLayout(const Sizes& sizes, bool backward)
      : planes(kWidth * sizes.cells),
        weights((4 * kWidth * sizes.cells + 3) / 4 * 4),
        scratch(weights + LayerLayout<kWidth>::kFloats),
        room(scratch + sizes.groups * words(sizeof(GroupScratch))),
        tiles(room + words(sizeof(AttentionRoom<kWidth>))),
        sums(tiles + (backward ? sizes.threads / kWarp * kTileFloats : 0)),
        floats(sums + (backward ? sizes.threads / kWarp * LayerLayout<kWidth>::kFloats : 0)) {}

  /// Rows of a tile: up to inner + width columns of 32 cells. Four floats more than a warp: rows begin at
  /// multiples of 16 bytes, and eight rows in eight places of the memory's banks.
  static constexpr int kTileStride = kWarp + 4;
  static constexpr int kTileFloats = 5 * kWidth * kTileStride;

 private:
  /// Floats, in whole fours: every part begins at a multiple of 16 bytes.
  MGRN_BOTH static int words(std::size_t bytes) { return static_cast<int>((bytes + 15) / 16 * 4); }
};

struct EncoderArguments {
  Sizes sizes;
  const float* weights;         ///< flat, as Parameters::values()
  const float* inputs;          ///< [samples][cells][width]
  const float* positions;       ///< [cells][width]
  const float* sample_weights;  ///< [samples]; 0: padding, not looked at
  const std::uint32_t* masks;   ///< [samples][layers][6 width][mask_words]; null without dropout
  const Polynomial* polynomials;
  float* state;         ///< [samples][layers][StateLayout rows][cells]
  HeadPlan* plans;      ///< [samples][layers][width]
  float* flat;          ///< [samples][cells * width]: the encoder's output, or its gradient
  float* partial_sums;  ///< [samples][layers * LayerLayout floats]: a sample's weight gradients
};

}  // namespace mgrn::model::cuda
