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

/// The gradient of kUnits units from `first` on, in two vectors of columns, summed over the rows in their
/// order.
template <int kUnits>
__attribute__((always_inline)) inline void weight_gradient_tile(int rows, int units, const float* flat,
                                                                int flat_stride, const float* hidden_gradient,
                                                                int first, int column,
                                                                Vector (&total)[kUnits][2]) {
#pragma GCC unroll 8
  for (int u = 0; u < kUnits; ++u) total[u][0] = total[u][1] = Vector{};
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
}

/// Columns of the vector that begins at `column`: none where it is less than 1.
inline int lanes_left(int columns, int column) {
  return columns - column < kLanes ? columns - column : kLanes;
}

/// The tile in the strip at column `at`.
template <int kUnits>
inline void float_gradient_tile(int rows, int units, int columns, const float* flat, int flat_stride,
                                const float* hidden_gradient, int first, int at, float* gradient) {
  for (int v = 0; v < kStripVectors; v += 2) {
    Vector total[kUnits][2];
    weight_gradient_tile<kUnits>(rows, units, flat, flat_stride, hidden_gradient, first, at + v * kLanes,
                                 total);
#pragma GCC unroll 8
    for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const int column = at + (v + half) * kLanes;
        const int lanes = lanes_left(columns, column);
        float* to = gradient + (first + u) * columns + column;
        if (lanes == kLanes) {
          store_loose(to, total[u][half]);
        } else {
          for (int lane = 0; lane < lanes; ++lane) to[lane] = total[u][half][lane];
        }
      }
    }
  }
}

/// weight_gradient [units][columns] = hidden_gradient^T flat.
void predictor_weight_gradient(int rows, int units, int columns, const float* flat, int flat_stride,
                               const float* hidden_gradient, float* weight_gradient) {
  for (int at = 0; at < columns; at += kStrip) {
    int u = 0;
    for (; u + kTileRows <= units; u += kTileRows) {
      float_gradient_tile<kTileRows>(rows, units, columns, flat, flat_stride, hidden_gradient, u, at,
                                     weight_gradient);
    }
    for (; u < units; ++u) {
      float_gradient_tile<1>(rows, units, columns, flat, flat_stride, hidden_gradient, u, at,
                             weight_gradient);
    }
  }
}

// A vector's halves as the integers of fixed_point.hpp, which are the bits of a double, its bias of 1.5 *
// 2^52 included. AVX-512 rounds to such integers in one instruction, to nearest as MXCSR says; the bias then
// is kBiasLeftOut, to be added once for each conversion. Scaling by a power of two is exact both ways: what a
// float cannot hold is out of range, and what is flushed to zero rounds to it.
#if defined(__AVX512DQ__)
constexpr std::uint64_t kBiasLeftOut = __builtin_bit_cast(std::uint64_t, 0x1.8p52);
inline void to_fixed_point(Vector value, double factor, Longs& first, Longs& second) {
  constexpr __mmask8 kAll = static_cast<__mmask8>(-1);  // g++ 12 warns of the plain ones
  const Vector scaled = value * splat(static_cast<float>(factor));
  first =
      reinterpret_cast<Longs>(_mm512_maskz_cvtps_epi64(kAll, _mm512_maskz_extractf32x8_ps(kAll, scaled, 0)));
  second =
      reinterpret_cast<Longs>(_mm512_maskz_cvtps_epi64(kAll, _mm512_maskz_extractf32x8_ps(kAll, scaled, 1)));
}
#else
constexpr std::uint64_t kBiasLeftOut = 0;
inline void to_fixed_point(Vector value, double factor, Longs& first, Longs& second) {
  // The product is exact, so it rounds once whether or not it is fused.
  const Doubles factors = Doubles{} + factor;
  const Doubles magic = Doubles{} + 0x1.8p52;
  first = reinterpret_cast<Longs>(fma(first_half(value), factors, magic));
  second = reinterpret_cast<Longs>(fma(second_half(value), factors, magic));
}
#endif

/// The exact sum's tile at two vectors of columns: `pending` micro-batches added to it, or written over it,
/// while it stays in registers as far as these reach. most: by micro-batch, the largest magnitudes.
template <int kUnits>
inline void exact_gradient_tile(int rows, int units, int columns, const PendingGradients& pending,
                                int flat_stride, double factor, bool overwrite, int first, int column,
                                std::uint64_t* sum, Integers* most) {
  constexpr int kHalf = kLanes / 2;
  Longs sums[kUnits][2][2];
  const std::uint64_t start = static_cast<std::uint64_t>(pending.count) * kBiasLeftOut;
#pragma GCC unroll 8
  for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) {
      const int begin = column + part * kHalf;
      const std::uint64_t* from = sum + (first + u) * columns + begin;
      Longs before = {};
      if (!overwrite && begin + kHalf <= columns) {
        before = *reinterpret_cast<const Longs*>(from);
      } else if (!overwrite) {
        for (int lane = 0; begin + lane < columns; ++lane) before[lane] = from[lane];
      }
      sums[u][part / 2][part % 2] = before + start;
    }
  }
  const bool two = column + kLanes < columns;
  for (int b = 0; b < pending.count; ++b) {
    Vector total[kUnits][2];
    weight_gradient_tile<kUnits>(rows, units, pending.flat[b], flat_stride, pending.hidden_gradient[b], first,
                                 column, total);
    Integers largest = most[b];
#pragma GCC unroll 8
    for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const Integers magnitude = reinterpret_cast<Integers>(total[u][half]) & 0x7FFFFFFF;
        if (half == 0 || two) largest = magnitude > largest ? magnitude : largest;
        Longs low, high;
        to_fixed_point(total[u][half], factor, low, high);
        sums[u][half][0] += low;
        sums[u][half][1] += high;
      }
    }
    most[b] = largest;
  }
#pragma GCC unroll 8
  for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) {
      const int begin = column + part * kHalf;
      std::uint64_t* to = sum + (first + u) * columns + begin;
      const Longs after = sums[u][part / 2][part % 2];
      if (begin + kHalf <= columns) {
        *reinterpret_cast<Longs*>(to) = after;
      } else {
        for (int lane = 0; begin + lane < columns; ++lane) to[lane] = after[lane];
      }
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
    const int end = at + kStrip < columns ? at + kStrip : columns;
    int u = 0;
    for (; u + kTileRows <= units; u += kTileRows) {
      // The next tile's part lies in as many pages as it has rows, where no hardware would look ahead.
      if (u + 2 * kTileRows <= units) {
        for (int next = u + kTileRows; next < u + 2 * kTileRows; ++next) {
          fetch_ahead(sum + next * columns + at);
        }
      }
      for (int column = at; column < end; column += 2 * kLanes) {
        exact_gradient_tile<kTileRows>(rows, units, columns, pending, flat_stride, factor, overwrite, u,
                                       column, sum, most);
      }
    }
    for (; u < units; ++u) {
      for (int column = at; column < end; column += 2 * kLanes) {
        exact_gradient_tile<1>(rows, units, columns, pending, flat_stride, factor, overwrite, u, column, sum,
                               most);
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
