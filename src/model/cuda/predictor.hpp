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

/// Bias, ReLU, logits, loss, and their gradients. One block.
struct Loss {
  static constexpr int kMostThreads = kThreads;
  static constexpr int kBlocksTogether = 2;
  LossArguments a;

  template <typename Block>
  MGRN_DEVICE void operator()(Block& block) const {
    const int lane = block.thread() % kWarp;
    MGRN_NO_UNROLL
    for (int row = block.thread() / kWarp; row < a.samples; row += block.threads() / kWarp) {
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
      MGRN_UNROLL
      for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) total += block.shuffle_xor(total, lanes);
      if (lane == 0) {
        a.logits[row] = static_cast<float>(total + static_cast<double>(a.logit_bias[0]));
        if (a.train) lose(row);
      }
    }
    if (!a.train) return;
    block.sync();
    MGRN_NO_UNROLL
    for (int u = block.thread(); u < a.hidden; u += block.threads()) {
      const float weight = a.logit_weight[u];
      float weight_total = 0.0f, bias_total = 0.0f;
      bool live = false;
      for (int row = 0; row < a.samples; ++row) {
        const std::int64_t at = std::int64_t{row} * a.hidden + u;
        if (a.sample_weights[row] == 0.0f) {
          a.unit_gradient[at] = 0.0f;
          continue;
        }
        const float unit = a.units[at];
        live = live || unit > 0.0f;
        weight_total += a.slopes[row] * unit;
        // Zero only where the unit is off: a NaN unit passes its NaN on.
        const float gradient = unit == 0.0f ? 0.0f : a.slopes[row] * weight;
        a.unit_gradient[at] = gradient;
        bias_total += gradient;
      }
      a.logit_weight_gradient[u] = weight_total;
      a.hidden_bias_gradient[u] = bias_total;
      if (live) block.atomic_add(a.live_hidden, 1u);
    }
    if (block.thread() == 0) {
      double loss = 0.0;
      float bias = 0.0f;
      for (int row = 0; row < a.samples; ++row) {
        if (a.sample_weights[row] == 0.0f) continue;
        loss += a.losses[row];
        bias += a.slopes[row];
      }
      *a.loss = loss;
      *a.logit_bias_gradient = bias;
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

struct SumArguments {
  int samples;
  int layers;
  int layer_floats;
  int key_bias;  ///< place of the key bias in a layer
  int width;
  const float* partial_sums;  ///< [samples][layers * layer_floats]
  float* gradient;            ///< [layers * layer_floats]
};

/// Sums over samples, as a tree of degree 16: one thread per element.
struct SumSamples {
  static constexpr int kMostThreads = kThreads;
  static constexpr int kBlocksTogether = 2;
  SumArguments a;

  template <typename Block>
  MGRN_DEVICE void operator()(Block& block) const {
    const int element = block.block() * block.threads() + block.thread();
    const int count = a.layers * a.layer_floats;
    if (element >= count) return;
    float total = 0.0f;
    MGRN_NO_UNROLL
    for (int first = 0; first < a.samples; first += 16) {
      const int end = first + 16 < a.samples ? first + 16 : a.samples;
      float part = 0.0f;
      for (int row = first; row < end; ++row) part += a.partial_sums[std::int64_t{row} * count + element];
      total += part;
    }
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
