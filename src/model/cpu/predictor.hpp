// SPDX-License-Identifier: Apache-2.0
// The predictor's first layer, Linear(cells * width -> units), for micro-batches of rows. Own kernels,
// because a BLAS library sums in an order that depends on the number of rows and of its threads: here each
// value's sum depends on its own row alone, so a sample's logit is the same in any batch. The weight gradient
// goes straight from registers into the exact sum, for several micro-batches in one pass over that sum, which
// is the largest array of a step.
#pragma once

#include "model/cpu/kernels.hpp"
#include "model/cpu/simd.hpp"

namespace mgrn::model::cpu {
namespace {

// Columns of all rows, and of a few units, that stay in the first-level cache together.
constexpr int kColumnBlock = 512;
// Columns that the backward passes take at once. Rows of the weights lie pages apart: wider strips meet fewer
// pages, and the copy of a strip still fits the first-level cache.
constexpr int kStrip = 32;
constexpr int kStripVectors = kStrip / kLanes;
// Rows or units of a register tile: what 32 registers hold, or 16.
constexpr int kTileRows = kLanes == 16 ? 8 : 4;

/// total[unit][row] of `units` units, summed over the columns in their order, block by block.
template <int kRows, int kUnits>
inline void predictor_tile(int length, const float* flat, int flat_stride, const float* weight, int columns,
                           Vector* total, int rows) {
  Vector sums[kUnits][kRows];
#pragma GCC unroll 4
  for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) sums[u][r] = total[u * rows + r];
  }
  for (int at = 0; at < length; at += kLanes) {
    Vector w[kUnits];
#pragma GCC unroll 4
    for (int u = 0; u < kUnits; ++u) w[u] = load_loose(weight + u * columns + at);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const Vector x = load(flat + r * flat_stride + at);
#pragma GCC unroll 4
      for (int u = 0; u < kUnits; ++u) sums[u][r] = fma(x, w[u], sums[u][r]);
    }
  }
#pragma GCC unroll 4
  for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) total[u * rows + r] = sums[u][r];
  }
}

/// rows is a multiple of 4. lanes: [units][rows] vectors of work space.
void predictor(int rows, int units, int columns, const float* flat, int flat_stride, const float* weight,
               const float* bias, float* lanes, float* hidden) {
  constexpr int kUnits = kLanes == 16 ? 4 : 2;
  Vector* total = reinterpret_cast<Vector*>(lanes);
  for (int i = 0; i < units * rows; ++i) total[i] = Vector{};
  const int whole = columns / kLanes * kLanes;
  for (int begin = 0; begin < whole; begin += kColumnBlock) {
    const int length = begin + kColumnBlock <= whole ? kColumnBlock : whole - begin;
    int u = 0;
    for (; u + kUnits <= units; u += kUnits) {
      for (int r = 0; r < rows; r += 4) {
        predictor_tile<4, kUnits>(length, flat + r * flat_stride + begin, flat_stride,
                                  weight + u * columns + begin, columns, total + u * rows + r, rows);
      }
    }
    for (; u < units; ++u) {
      for (int r = 0; r < rows; r += 4) {
        predictor_tile<4, 1>(length, flat + r * flat_stride + begin, flat_stride,
                             weight + u * columns + begin, columns, total + u * rows + r, rows);
      }
    }
  }
  for (int u = 0; u < units; ++u) {
    for (int r = 0; r < rows; ++r) {
      float value = sum(total[u * rows + r]) + bias[u];
      for (int at = whole; at < columns; ++at) {
        value = fma(flat[r * flat_stride + at], weight[u * columns + at], value);
      }
      // NaN is not below zero and stays.
      hidden[r * units + u] = value < 0.0f ? 0.0f : value;
    }
  }
}

template <int kRows>
inline void flat_gradient_tile(int units, const float* strip, const float* hidden_gradient, float* result,
                               int stride) {
  for (int v = 0; v < kStripVectors; v += 2) {
    Vector total[kRows][2] = {};
    for (int unit = 0; unit < units; ++unit) {
      const Vector w0 = load(strip + unit * kStrip + v * kLanes);
      const Vector w1 = load(strip + unit * kStrip + (v + 1) * kLanes);
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        const Vector g = splat(hidden_gradient[row * units + unit]);
        total[row][0] = fma(g, w0, total[row][0]);
        total[row][1] = fma(g, w1, total[row][1]);
      }
    }
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
      store(result + row * stride + v * kLanes, total[row][0]);
      store(result + row * stride + (v + 1) * kLanes, total[row][1]);
    }
  }
}

/// flat_gradient [rows][flat_stride] = hidden_gradient weight. rows is a multiple of 4, flat_stride one of
/// kStrip; strip: [units][kStrip] of work space.
void predictor_flat_gradient(int rows, int units, int columns, int flat_stride, const float* weight,
                             const float* hidden_gradient, float* strip, float* flat_gradient) {
  for (int at = 0; at < columns; at += kStrip) {
    const int width = at + kStrip <= columns ? kStrip : columns - at;
    for (int unit = 0; unit < units; ++unit) {
      const float* from = weight + unit * columns + at;
      float* to = strip + unit * kStrip;
      if (width == kStrip) {
        for (int n = 0; n < kStrip; n += kLanes) store(to + n, load_loose(from + n));
      } else {
        for (int n = 0; n < kStrip; ++n) to[n] = n < width ? from[n] : 0.0f;
      }
    }
    int r = 0;
    for (; r + kTileRows <= rows; r += kTileRows) {
      flat_gradient_tile<kTileRows>(units, strip, hidden_gradient + r * units,
                                    flat_gradient + r * flat_stride + at, flat_stride);
    }
    for (; r < rows; r += 4) {
      flat_gradient_tile<4>(units, strip, hidden_gradient + r * units, flat_gradient + r * flat_stride + at,
                            flat_stride);
    }
  }
}

/// Where a weight gradient goes: into an array of floats, or into the exact sum.
struct FloatTarget {
  float* gradient;
  void put(int at, Vector value, int lanes, std::uint32_t*) const {
    if (lanes == kLanes) {
      store_loose(gradient + at, value);
    } else {
      for (int lane = 0; lane < lanes; ++lane) gradient[at + lane] = value[lane];
    }
  }
};

struct ExactTarget {
  std::uint64_t* values;
  double factor;  ///< 2^scale
  bool overwrite;

  // The double's bits, its bias of 1.5 * 2^52 included, are the integer: see fixed_point.hpp. The product is
  // exact, so it rounds once whether or not it is fused.
  Longs converted(Doubles half) const {
    return reinterpret_cast<Longs>(fma(half, Doubles{} + factor, Doubles{} + 0x1.8p52));
  }
  void add(std::uint64_t* to, Longs bits) const {
    Longs* place = reinterpret_cast<Longs*>(to);
    *place = overwrite ? bits : *place + bits;
  }
  void put(int at, Vector value, int lanes, std::uint32_t* largest) const {
    const Integers magnitude = reinterpret_cast<Integers>(value) & 0x7FFFFFFF;
    Integers& most = *reinterpret_cast<Integers*>(largest);
    most = magnitude > most ? magnitude : most;
    const Longs first = converted(first_half(value));
    const Longs second = converted(second_half(value));
    if (lanes == kLanes) {
      add(values + at, first);
      add(values + at + kLanes / 2, second);
    } else {
      for (int lane = 0; lane < lanes; ++lane) {
        const std::uint64_t bits = lane < kLanes / 2 ? first[lane] : second[lane - kLanes / 2];
        values[at + lane] = overwrite ? bits : values[at + lane] + bits;
      }
    }
  }
};

/// The gradient of kUnits units from `first` on, in the strip at column `at`, summed over the rows in their
/// order.
template <int kUnits, typename Target>
inline void weight_gradient_tile(int rows, int units, int columns, const float* flat, int flat_stride,
                                 const float* hidden_gradient, int first, int at, const Target& target,
                                 std::uint32_t* largest) {
  for (int v = 0; v < kStripVectors; v += 2) {
    const int column = at + v * kLanes;
    Vector total[kUnits][2] = {};
    for (int r = 0; r < rows; ++r) {
      const Vector x0 = load(flat + r * flat_stride + column);
      const Vector x1 = load(flat + r * flat_stride + column + kLanes);
#pragma GCC unroll 8
      for (int u = 0; u < kUnits; ++u) {
        const Vector g = splat(hidden_gradient[r * units + first + u]);
        total[u][0] = fma(g, x0, total[u][0]);
        total[u][1] = fma(g, x1, total[u][1]);
      }
    }
#pragma GCC unroll 8
    for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const int begin = column + half * kLanes;
        const int lanes = columns - begin < kLanes ? columns - begin : kLanes;
        if (lanes > 0) target.put((first + u) * columns + begin, total[u][half], lanes, largest);
      }
    }
  }
}

/// weight_gradient [units][columns] = hidden_gradient^T flat.
void predictor_weight_gradient(int rows, int units, int columns, const float* flat, int flat_stride,
                               const float* hidden_gradient, float* weight_gradient) {
  const FloatTarget target{weight_gradient};
  for (int at = 0; at < columns; at += kStrip) {
    int u = 0;
    for (; u + kTileRows <= units; u += kTileRows) {
      weight_gradient_tile<kTileRows>(rows, units, columns, flat, flat_stride, hidden_gradient, u, at, target,
                                      nullptr);
    }
    for (; u < units; ++u) {
      weight_gradient_tile<1>(rows, units, columns, flat, flat_stride, hidden_gradient, u, at, target,
                              nullptr);
    }
  }
}

/// A strip of a row of the exact sum, into the first-level cache, to be written.
inline void fetch_ahead(const std::uint64_t* strip) {
#pragma GCC unroll 4
  for (int n = 0; n < kStrip; n += 8) __builtin_prefetch(strip + n, 1);
}

/// The same of several micro-batches, added to the exact sum; the first overwrites it where asked to.
void predictor_exact_weight_gradient(int rows, int units, int columns, const PendingGradients& pending,
                                     int flat_stride, double factor, bool overwrite, std::uint64_t* sum,
                                     std::uint32_t* largest) {
  Integers most[kMostPending] = {};
  for (int at = 0; at < columns; at += kStrip) {
    // Unit tiles outermost: their part of the sum stays in the first-level cache for all micro-batches.
    int u = 0;
    for (; u + kTileRows <= units; u += kTileRows) {
      // The next tile's part lies in as many pages as it has rows, where no hardware would look ahead.
      if (u + 2 * kTileRows <= units) {
        for (int next = u + kTileRows; next < u + 2 * kTileRows; ++next) {
          fetch_ahead(sum + next * columns + at);
        }
      }
      for (int b = 0; b < pending.count; ++b) {
        const ExactTarget target{sum, factor, overwrite && b == 0};
        weight_gradient_tile<kTileRows>(rows, units, columns, pending.flat[b], flat_stride,
                                        pending.hidden_gradient[b], u, at, target,
                                        reinterpret_cast<std::uint32_t*>(&most[b]));
      }
    }
    for (; u < units; ++u) {
      for (int b = 0; b < pending.count; ++b) {
        const ExactTarget target{sum, factor, overwrite && b == 0};
        weight_gradient_tile<1>(rows, units, columns, pending.flat[b], flat_stride,
                                pending.hidden_gradient[b], u, at, target,
                                reinterpret_cast<std::uint32_t*>(&most[b]));
      }
    }
  }
  for (int b = 0; b < pending.count; ++b) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const std::uint32_t magnitude = static_cast<std::uint32_t>(most[b][lane]);
      largest[b] = magnitude > largest[b] ? magnitude : largest[b];
    }
  }
}

}  // namespace
}  // namespace mgrn::model::cpu
