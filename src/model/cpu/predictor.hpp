// SPDX-License-Identifier: Apache-2.0
// The predictor's first layer, Linear(cells * width -> units), for a micro-batch of rows. Own kernels,
// because a BLAS library sums in an order that depends on the number of rows and of its threads: here each
// value's sum depends on its own row alone, so a sample's logit is the same in any batch.
#pragma once

#include "model/cpu/kernels.hpp"
#include "model/cpu/simd.hpp"

namespace mgrn::model::cpu {
namespace {

template <int kRows, int kUnits>
inline void predictor_tile(int columns, const float* flat, int flat_stride, const float* weight,
                           const float* bias, float* hidden, int units) {
  Vector total[kRows][kUnits] = {};
  const int whole = columns / kLanes * kLanes;
  for (int at = 0; at < whole; at += kLanes) {
    Vector w[kUnits];
#pragma GCC unroll 4
    for (int u = 0; u < kUnits; ++u) w[u] = load_loose(weight + u * columns + at);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const Vector x = load(flat + r * flat_stride + at);
#pragma GCC unroll 4
      for (int u = 0; u < kUnits; ++u) total[r][u] = fma(x, w[u], total[r][u]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int u = 0; u < kUnits; ++u) {
      float value = sum(total[r][u]) + bias[u];
      for (int at = whole; at < columns; ++at) {
        value = fma(flat[r * flat_stride + at], weight[u * columns + at], value);
      }
      // NaN is not below zero and stays.
      hidden[r * units + u] = value < 0.0f ? 0.0f : value;
    }
  }
}

/// rows is a multiple of 4.
void predictor(int rows, int units, int columns, const float* flat, int flat_stride, const float* weight,
               const float* bias, float* hidden) {
  // Units outermost: the weights, which do not fit the second-level cache, are read once.
  int u = 0;
  for (; u + 2 <= units; u += 2) {
    for (int r = 0; r < rows; r += 4) {
      predictor_tile<4, 2>(columns, flat + r * flat_stride, flat_stride, weight + u * columns, bias + u,
                           hidden + r * units + u, units);
    }
  }
  for (; u < units; ++u) {
    for (int r = 0; r < rows; r += 4) {
      predictor_tile<4, 1>(columns, flat + r * flat_stride, flat_stride, weight + u * columns, bias + u,
                           hidden + r * units + u, units);
    }
  }
}

template <int kUnits>
inline void weight_gradient_tile(int rows, int units, const float* flat, int flat_stride,
                                 const float* hidden_gradient, float* result, int columns) {
  Vector total[kUnits][2] = {};
  for (int r = 0; r < rows; ++r) {
    const Vector x0 = load(flat + r * flat_stride);
    const Vector x1 = load(flat + r * flat_stride + kLanes);
#pragma GCC unroll 4
    for (int u = 0; u < kUnits; ++u) {
      const Vector g = splat(hidden_gradient[r * units + u]);
      total[u][0] = fma(g, x0, total[u][0]);
      total[u][1] = fma(g, x1, total[u][1]);
    }
  }
#pragma GCC unroll 4
  for (int u = 0; u < kUnits; ++u) {
    store_loose(result + u * columns, total[u][0]);
    store_loose(result + u * columns + kLanes, total[u][1]);
  }
}

/// rows is a multiple of 4. weight_gradient's rows are summed in the order of the samples.
void predictor_backward(int rows, int units, int columns, const float* flat, int flat_stride,
                        const float* weight, const float* hidden_gradient, float* weight_gradient,
                        float* flat_gradient) {
  constexpr int kStep = 2 * kLanes;
  const int whole = columns / kStep * kStep;
  // By columns: a strip of the weights, [units][kStep], stays in the first-level cache for all rows.
  for (int at = 0; at < whole; at += kStep) {
    int u = 0;
    for (; u + 4 <= units; u += 4) {
      weight_gradient_tile<4>(rows, units, flat + at, flat_stride, hidden_gradient + u,
                              weight_gradient + u * columns + at, columns);
    }
    for (; u < units; ++u) {
      weight_gradient_tile<1>(rows, units, flat + at, flat_stride, hidden_gradient + u,
                              weight_gradient + u * columns + at, columns);
    }
    for (int r = 0; r < rows; r += 4) {
      Vector total[4][2] = {};
      for (int unit = 0; unit < units; ++unit) {
        const Vector w0 = load_loose(weight + unit * columns + at);
        const Vector w1 = load_loose(weight + unit * columns + at + kLanes);
#pragma GCC unroll 4
        for (int row = 0; row < 4; ++row) {
          const Vector g = splat(hidden_gradient[(r + row) * units + unit]);
          total[row][0] = fma(g, w0, total[row][0]);
          total[row][1] = fma(g, w1, total[row][1]);
        }
      }
#pragma GCC unroll 4
      for (int row = 0; row < 4; ++row) {
        store(flat_gradient + (r + row) * flat_stride + at, total[row][0]);
        store(flat_gradient + (r + row) * flat_stride + at + kLanes, total[row][1]);
      }
    }
  }
  for (int at = whole; at < columns; ++at) {
    for (int u = 0; u < units; ++u) {
      float total = 0.0f;
      for (int r = 0; r < rows; ++r)
        total = fma(hidden_gradient[r * units + u], flat[r * flat_stride + at], total);
      weight_gradient[u * columns + at] = total;
    }
    for (int r = 0; r < rows; ++r) {
      float total = 0.0f;
      for (int u = 0; u < units; ++u)
        total = fma(hidden_gradient[r * units + u], weight[u * columns + at], total);
      flat_gradient[r * flat_stride + at] = total;
    }
  }
}

}  // namespace
}  // namespace mgrn::model::cpu
