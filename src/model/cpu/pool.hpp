// SPDX-License-Identifier: Apache-2.0
// The pooling readout's layers. A vector holds one unit's values of neighbouring cells, so a layer is a sum
// of rows times weights, and no value depends on another cell's.
#pragma once

#include "model/cpu/kernels.hpp"
#include "model/cpu/simd.hpp"

namespace mgrn::model::cpu {
namespace {

// Units of a register tile, two vectors of cells wide: what 32 registers hold, or 16.
constexpr int kPoolUnits = kLanes == 16 ? 8 : 4;

template <int kUnits>
inline void dense_tile(int inputs, int padded, const float* x, const float* weight, const float* bias,
                       const float* gate, bool rectify, float* y) {
  for (int n = 0; n < padded; n += 2 * kLanes) {
    Vector total[kUnits][2];
#pragma GCC unroll 8
    for (int u = 0; u < kUnits; ++u) {
      total[u][0] = total[u][1] = bias == nullptr ? Vector{} : splat(bias[u]);
    }
    for (int i = 0; i < inputs; ++i) {
      const Vector x0 = load(x + i * padded + n), x1 = load(x + i * padded + n + kLanes);
#pragma GCC unroll 8
      for (int u = 0; u < kUnits; ++u) {
        const Vector w = splat(weight[u * inputs + i]);
        total[u][0] = fma(w, x0, total[u][0]);
        total[u][1] = fma(w, x1, total[u][1]);
      }
    }
#pragma GCC unroll 8
    for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const int at = u * padded + n + half * kLanes;
        Vector value = total[u][half];
        if (rectify) value = at_least(value, Vector{});
        if (gate != nullptr) value = load(gate + at) > Vector{} ? value : Vector{};
        store(y + at, value);
      }
    }
  }
}

/// y [units][padded] = bias + weight [units][inputs] x [inputs][padded]; at least 0 where `rectify`, 0 where
/// `gate` [units][padded] is not above 0. bias and gate may be null.
void dense(int inputs, int units, int padded, const float* x, const float* weight, const float* bias,
           const float* gate, bool rectify, float* y) {
  int u = 0;
  for (; u + kPoolUnits <= units; u += kPoolUnits) {
    dense_tile<kPoolUnits>(inputs, padded, x, weight + u * inputs, bias == nullptr ? nullptr : bias + u,
                           gate == nullptr ? nullptr : gate + u * padded, rectify, y + u * padded);
  }
  for (; u < units; ++u) {
    dense_tile<1>(inputs, padded, x, weight + u * inputs, bias == nullptr ? nullptr : bias + u,
                  gate == nullptr ? nullptr : gate + u * padded, rectify, y + u * padded);
  }
}

template <int kUnits, int kInputs>
inline void dense_gradient_tile(int inputs, int padded, const float* x, const float* slope, float* gradient) {
  Vector total[kUnits][kInputs] = {};
  for (int n = 0; n < padded; n += kLanes) {
    Vector values[kInputs];
#pragma GCC unroll 4
    for (int i = 0; i < kInputs; ++i) values[i] = load(x + i * padded + n);
#pragma GCC unroll 4
    for (int u = 0; u < kUnits; ++u) {
      const Vector g = load(slope + u * padded + n);
#pragma GCC unroll 4
      for (int i = 0; i < kInputs; ++i) total[u][i] = fma(g, values[i], total[u][i]);
    }
  }
#pragma GCC unroll 4
  for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 4
    for (int i = 0; i < kInputs; ++i) gradient[u * inputs + i] += sum(total[u][i]);
  }
}

template <int kUnits>
inline void dense_gradient_rows(int inputs, int padded, const float* x, const float* slope, float* gradient) {
  constexpr int kInputs = kLanes == 16 ? 4 : 2;
  int i = 0;
  for (; i + kInputs <= inputs; i += kInputs) {
    dense_gradient_tile<kUnits, kInputs>(inputs, padded, x + i * padded, slope, gradient + i);
  }
  for (; i < inputs; ++i) {
    dense_gradient_tile<kUnits, 1>(inputs, padded, x + i * padded, slope, gradient + i);
  }
}

/// weight_gradient [units][inputs] += slope [units][padded] x^T, bias_gradient += slope's sums; slope is 0 in
/// the padding, where x may be anything finite.
void dense_gradient(int inputs, int units, int padded, const float* x, const float* slope,
                    float* weight_gradient, float* bias_gradient) {
  int u = 0;
  for (; u + 4 <= units; u += 4) {
    dense_gradient_rows<4>(inputs, padded, x, slope + u * padded, weight_gradient + u * inputs);
  }
  for (; u < units; ++u) {
    dense_gradient_rows<1>(inputs, padded, x, slope + u * padded, weight_gradient + u * inputs);
  }
  for (u = 0; u < units; ++u) {
    Vector total{};
    for (int n = 0; n < padded; n += kLanes) total += load(slope + u * padded + n);
    bias_gradient[u] += sum(total);
  }
}

/// Means and standard deviations of h [units][padded] over the cells, to mean[u * stride] and
/// deviation[u * stride]; h becomes 0 in the padding.
void pool(int units, int cells, int padded, float* h, int stride, float* mean, float* deviation) {
  const float share = 1.0f / static_cast<float>(cells);
  for (int u = 0; u < units; ++u, h += padded) {
    for (int n = cells; n < padded; ++n) h[n] = 0.0f;
    Vector total{};
    for (int n = 0; n < padded; n += kLanes) total += load(h + n);
    const float middle = sum(total) * share;
    // Padding is not a cell of value 0.
    Vector squares{};
    for (int n = 0; n < padded; n += kLanes) {
      Vector away = load(h + n) - splat(middle);
      if (n + kLanes > cells) {
        for (int lane = 0; lane < kLanes; ++lane) away[lane] = n + lane < cells ? away[lane] : 0.0f;
      }
      squares = fma(away, away, squares);
    }
    mean[u * stride] = middle;
    deviation[u * stride] = square_root(splat(sum(squares) * share + kPoolEpsilon))[0];
  }
}

/// The way back: slope [units][padded] of h, 0 where h is not above 0 (its rectifier) and in the padding.
void pool_backward(int units, int cells, int padded, const float* h, int stride, const float* mean,
                   const float* deviation, const float* mean_slope, const float* deviation_slope,
                   float* slope) {
  const float share = 1.0f / static_cast<float>(cells);
  for (int u = 0; u < units; ++u, h += padded, slope += padded) {
    const Vector middle = splat(mean[u * stride]);
    const Vector constant = splat(mean_slope[u * stride] * share);
    const Vector factor = splat(deviation_slope[u * stride] * share / deviation[u * stride]);
    for (int n = 0; n < padded; n += kLanes) {
      const Vector value = load(h + n);
      const Vector here = fma(value - middle, factor, constant);
      store(slope + n, value > Vector{} ? here : Vector{});
    }
  }
}

}  // namespace
}  // namespace mgrn::model::cpu
