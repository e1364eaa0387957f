// SPDX-License-Identifier: Apache-2.0
// What is left of the predictor beside its matrix products, the sums over samples, and fixed point.
#pragma once

#include "model/cuda/group.hpp"

namespace mgrn::model::cuda {

struct LossArguments {
  int samples;
  int hidden;
  bool train;                   ///< else only logits are written
  const float* hidden_bias;     ///< [hidden]
  const float* logit_weight;    ///< [hidden]
  const float* logit_bias;      ///< [1]
  const float* labels;          ///< [samples]
  const float* sample_weights;  ///< [samples]
  float* units;                 ///< [samples][hidden]: the product; becomes the units' values
  float* logits;                ///< [samples]
  float* slopes;                ///< [samples]: d loss / d logit
  double* losses;               ///< [samples]
  float* unit_gradient;         ///< [samples][hidden]
  float* hidden_bias_gradient;
  float* logit_weight_gradient;
  float* logit_bias_gradient;
  double* loss;                ///< [1]
  std::uint32_t* live_hidden;  ///< [1], zero before
};

/// Bias, ReLU, logits and losses: a warp for each sample.
struct LossOfSamples {
  static constexpr int kMostThreads = kThreads;
  static constexpr int kBlocksTogether = 2;
  LossArguments a;

  static int blocks(int samples) { return (samples + kThreads / kWarp - 1) / (kThreads / kWarp); }

  template <typename Block>
  MGRN_DEVICE void operator()(Block& block) const {
    const int lane = block.thread() % kWarp;
    const int row = block.block() * (block.threads() / kWarp) + block.thread() / kWarp;
    if (row >= a.samples) return;
    float* units = a.units + std::int64_t{row} * a.hidden;
    // In double: a hundred terms once per sample, and the loss sees no rounding of ours.
    double total = 0.0;
    for (int u = lane; u < a.hidden; u += kWarp) {
      const float value = units[u] + a.hidden_bias[u];
      // NaN is not below zero and stays.
      const float unit = value < 0.0f ? 0.0f : value;
      units[u] = unit;
      total += static_cast<double>(a.logit_weight[u]) * static_cast<double>(unit);
    }
    total = warp_combine(block, Add{}, total);
    if (lane == 0) {
      a.logits[row] = static_cast<float>(total + static_cast<double>(a.logit_bias[0]));
      if (a.train) lose(row);
    }
  }

 private:
  /// As checks.hpp binary_cross_entropy.
  MGRN_DEVICE void lose(int row) const {
    const double logit = static_cast<double>(a.logits[row]);
    const double label = static_cast<double>(a.labels[row]);
    const double weight = static_cast<double>(a.sample_weights[row]);
    const double small = exp(-fabs(logit));
    const double larger = 1.0 / (1.0 + small);
    const double smaller = small / (1.0 + small);
    const double positive = logit >= 0 ? larger : smaller;
    const double negative = logit >= 0 ? smaller : larger;
    a.losses[row] = weight * (fmax(logit, 0.0) - logit * label + log1p(small));
    a.slopes[row] = static_cast<float>(weight * ((1.0 - label) * positive - label * negative));
  }
};

/// Adds what the warps of a block have, in their order: one value per lane. parts: [threads]. The first warp
/// gets the sum.
template <typename Value, typename Block>
MGRN_DEVICE Value sum_of_warps(Block& block, Value* parts, Value mine) {
  parts[block.thread()] = mine;
  block.sync();
  Value total = mine;
  if (block.thread() < kWarp) {
    for (int at = block.thread() + kWarp; at < block.threads(); at += kWarp) total += parts[at];
  }
  block.sync();
  return total;
}

/// Gradients at the hidden units, a lane for each unit and rows dealt to the block's warps; and, by the last
/// block, the sums over samples.
struct LossOfUnits {
  static constexpr int kMostThreads = kThreads;
  static constexpr int kBlocksTogether = 2;
  LossArguments a;

  static int blocks(int hidden) { return (hidden + kWarp - 1) / kWarp + 1; }
  static constexpr std::size_t kSharedBytes = kThreads * sizeof(double);

  template <typename Block>
  MGRN_DEVICE void operator()(Block& block) const {
    if (block.block() == block.blocks() - 1) {
      sum_losses(block);
      return;
    }
    const int warps = block.threads() / kWarp;
    const int unit = block.block() * kWarp + block.thread() % kWarp;
    float weight_total = 0.0f, bias_total = 0.0f, live = 0.0f;
    if (unit < a.hidden) {
      const float weight = a.logit_weight[unit];
      // Sums are closed after 16 rows: rounding then grows with the square root of their number.
      for (int first = block.thread() / kWarp; first < a.samples; first += 16 * warps) {
        float weight_part = 0.0f, bias_part = 0.0f;
        // All loads are on their way before the first is waited for.
        float share[16], value[16], slope[16];
        MGRN_UNROLL
        for (int k = 0; k < 16; ++k) {
          const int row = first + k * warps;
          const bool here = row < a.samples;
          share[k] = here ? a.sample_weights[row] : 0.0f;
          slope[k] = here ? a.slopes[row] : 0.0f;
          value[k] = here ? a.units[std::int64_t{row} * a.hidden + unit] : 0.0f;
        }
        MGRN_UNROLL
        for (int k = 0; k < 16; ++k) {
          const int row = first + k * warps;
          if (row >= a.samples) continue;
          float gradient = 0.0f;
          if (share[k] != 0.0f) {
            live = value[k] > 0.0f ? 1.0f : live;
            weight_part += slope[k] * value[k];
            // Zero only where the unit is off: a NaN unit passes its NaN on.
            gradient = value[k] == 0.0f ? 0.0f : slope[k] * weight;
            bias_part += gradient;
          }
          a.unit_gradient[std::int64_t{row} * a.hidden + unit] = gradient;
        }
        weight_total += weight_part;
        bias_total += bias_part;
      }
    }
    weight_total = sum_of_warps(block, block.shared(), weight_total);
    bias_total = sum_of_warps(block, block.shared(), bias_total);
    live = sum_of_warps(block, block.shared(), live);
    if (block.thread() < kWarp && unit < a.hidden) {
      a.logit_weight_gradient[unit] = weight_total;
      a.hidden_bias_gradient[unit] = bias_total;
      if (live > 0.0f) block.atomic_add(a.live_hidden, 1u);
    }
  }

 private:
  template <typename Block>
  MGRN_DEVICE void sum_losses(Block& block) const {
    double loss = 0.0, slope = 0.0;
    for (int row = block.thread(); row < a.samples; row += block.threads()) {
      if (a.sample_weights[row] == 0.0f) continue;
      loss += a.losses[row];
      slope += static_cast<double>(a.slopes[row]);
    }
    auto* const parts = reinterpret_cast<double*>(block.shared());
    loss = sum_of_warps(block, parts, loss);
    slope = sum_of_warps(block, parts, slope);
    if (block.thread() >= kWarp) return;
    loss = warp_combine(block, Add{}, loss);
    slope = warp_combine(block, Add{}, slope);
    if (block.thread() == 0) {
      *a.loss = loss;
      *a.logit_bias_gradient = static_cast<float>(slope);
    }
  }
};

struct SumArguments {
  int samples;
  int layers;
  int layer_floats;
  int key_bias;  ///< place of the key bias in a layer
  int width;
  const float* partial_sums;  ///< [samples][layers * layer_floats]
  float* gradient;            ///< [layers * layer_floats]
};

/// Sums over samples: a lane for each element, rows dealt to the block's warps and closed after 16.
struct SumSamples {
  static constexpr int kMostThreads = kThreads;
  static constexpr int kBlocksTogether = 2;
  SumArguments a;

  static int blocks(int elements) { return (elements + kWarp - 1) / kWarp; }
  static constexpr std::size_t kSharedBytes = kThreads * sizeof(float);

  template <typename Block>
  MGRN_DEVICE void operator()(Block& block) const {
    const int element = block.block() * kWarp + block.thread() % kWarp;
    const int count = a.layers * a.layer_floats;
    const int warps = block.threads() / kWarp;
    float total = 0.0f;
    if (element < count) {
      for (int first = block.thread() / kWarp; first < a.samples; first += 16 * warps) {
        float values[16], part = 0.0f;
        MGRN_UNROLL
        for (int k = 0; k < 16; ++k) {
          const int row = first + k * warps;
          values[k] = row < a.samples ? a.partial_sums[std::int64_t{row} * count + element] : 0.0f;
        }
        MGRN_UNROLL
        for (int k = 0; k < 16; ++k) part += values[k];
        total += part;
      }
    }
    total = sum_of_warps(block, block.shared(), total);
    if (block.thread() >= kWarp || element >= count) return;
    // Softmax does not see a shift of all keys, so the key bias has no gradient; what the sums hold is
    // rounding, which Adam would scale up to full steps.
    const int place = element % a.layer_floats - a.key_bias;
    if (place >= 0 && place < a.width && total - total == 0.0f) total = 0.0f;
    a.gradient[element] = total;
  }
};

struct FixedPointArguments {
  std::int64_t count;
  double factor;  ///< 2^scale
  const float* values;
  std::uint64_t* sum;
  std::uint32_t* largest;  ///< [1]: becomes at least the largest bits(|value|)
};

/// train/fixed_point.hpp's add_fixed_point, bit for bit: sum[i] += bits(values[i] * 2^scale + 1.5 * 2^52).
struct AddFixedPoint {
  static constexpr int kMostThreads = kThreads;
  static constexpr int kBlocksTogether = 2;
  FixedPointArguments a;

  template <typename Block>
  MGRN_DEVICE void operator()(Block& block) const {
    const std::int64_t stride = std::int64_t{block.threads()} * block.blocks();
    std::uint32_t largest = 0;
    for (std::int64_t i = std::int64_t{block.block()} * block.threads() + block.thread(); i < a.count;
         i += stride) {
      const float value = a.values[i];
      const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value) & 0x7fffffffu;
      largest = largest < bits ? bits : largest;
      a.sum[i] += __builtin_bit_cast(std::uint64_t, static_cast<double>(value) * a.factor + 0x1.8p52);
    }
    if (largest != 0) block.atomic_max(a.largest, largest);
  }
};

}  // namespace mgrn::model::cuda
