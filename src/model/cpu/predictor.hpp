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

// Register tiles, as large as what 32 registers hold, or 16: enough sums to keep the multipliers busy, and
// few loads for each multiply-add.
constexpr int kForwardUnits = kLanes == 16 ? 4 : 3;
constexpr int kTileRows = kLanes == 16 ? 8 : 4;  // or units
constexpr int kTileVectors = kLanes == 16 ? 2 : 3;
// Columns that the backward passes take at once. Rows of the weights lie pages apart: wider strips meet fewer
// pages, and the copy of a strip still fits the first-level cache.
constexpr int kStripVectors = kLanes == 4 ? 2 * kTileVectors : kTileVectors;
constexpr int kStrip = kStripVectors * kLanes;
static_assert(kFlatPadding % kStrip == 0 && kStrip <= kLargestStrip);

// With 16 registers a tile takes all of them: what surrounds its loop must stay out of it.
#if defined(__AVX512F__)
#define MGRN_TILE __attribute__((always_inline)) inline
#else
#define MGRN_TILE __attribute__((noinline))
#endif

/// total[unit][row] of kUnits units and four rows, summed over the columns in their order, block by block.
/// flat: [length / kLanes][4] vectors.
template <int kUnits>
MGRN_TILE void predictor_tile(int length, const float* flat, const float* weight, int columns, Vector* total,
                              int rows) {
  Vector sums[kUnits][4];
#pragma GCC unroll 4
  for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) sums[u][r] = total[u * rows + r];
  }
  for (int at = 0; at < length; at += kLanes) {
    Vector w[kUnits];
#pragma GCC unroll 4
    for (int u = 0; u < kUnits; ++u) w[u] = load_loose(weight + u * columns + at);
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      const Vector x = load(flat + r * kLanes);
#pragma GCC unroll 4
      for (int u = 0; u < kUnits; ++u) sums[u][r] = fma(x, w[u], sums[u][r]);
    }
    flat += 4 * kLanes;
  }
#pragma GCC unroll 4
  for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) total[u * rows + r] = sums[u][r];
  }
}

/// rows is a multiple of 4. work: [units][rows] vectors, and [rows][kColumnBlock].
void predictor(int rows, int units, int columns, const float* flat, int flat_stride, const float* weight,
               const float* bias, float* work, float* hidden) {
  Vector* total = reinterpret_cast<Vector*>(work);
  float* block = work + units * rows * kLanes;
  for (int i = 0; i < units * rows; ++i) total[i] = Vector{};
  const int whole = columns / kLanes * kLanes;
  for (int begin = 0; begin < whole; begin += kColumnBlock) {
    const int length = begin + kColumnBlock <= whole ? kColumnBlock : whole - begin;
    // Four rows' vectors beside one another: rows lie pages apart.
    for (int r = 0; r < rows; ++r) {
      float* to = block + r / 4 * 4 * length + r % 4 * kLanes;
      const float* from = flat + r * flat_stride + begin;
      for (int at = 0; at < length; at += kLanes) store(to + 4 * at, load(from + at));
    }
    int u = 0;
    for (; u + kForwardUnits <= units; u += kForwardUnits) {
      for (int r = 0; r < rows; r += 4) {
        predictor_tile<kForwardUnits>(length, block + r * length, weight + u * columns + begin, columns,
                                      total + u * rows + r, rows);
      }
    }
    for (; u < units; ++u) {
      for (int r = 0; r < rows; r += 4) {
        predictor_tile<1>(length, block + r * length, weight + u * columns + begin, columns,
                          total + u * rows + r, rows);
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

/// gradient: [units][rows], from the tile's first row on.
template <int kRows>
inline void flat_gradient_tile(int rows, int units, const float* strip, const float* gradient, float* result,
                               int stride) {
  for (int v = 0; v < kStripVectors; v += kTileVectors) {
    Vector total[kRows][kTileVectors] = {};
    for (int unit = 0; unit < units; ++unit) {
      Vector w[kTileVectors];
#pragma GCC unroll 4
      for (int n = 0; n < kTileVectors; ++n) w[n] = load(strip + unit * kStrip + (v + n) * kLanes);
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        const Vector g = splat(gradient[unit * rows + row]);
#pragma GCC unroll 4
        for (int n = 0; n < kTileVectors; ++n) total[row][n] = fma(g, w[n], total[row][n]);
      }
    }
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 4
      for (int n = 0; n < kTileVectors; ++n) store(result + row * stride + (v + n) * kLanes, total[row][n]);
    }
  }
}

/// flat_gradient [rows][flat_stride] = hidden_gradient weight. rows is a multiple of 4, flat_stride one of
/// kStrip; work: [units][kLargestStrip + rows].
void predictor_flat_gradient(int rows, int units, int columns, int flat_stride, const float* weight,
                             const float* hidden_gradient, float* work, float* flat_gradient) {
  float* strip = work;                      // [units][kStrip]
  float* gradient = work + units * kStrip;  // [units][rows]: a tile's values lie beside one another
  for (int unit = 0; unit < units; ++unit) {
    for (int r = 0; r < rows; ++r) gradient[unit * rows + r] = hidden_gradient[r * units + unit];
  }
  for (int at = 0; at < columns; at += kStrip) {
    const int width = at + kStrip <= columns ? kStrip : columns - at;
    for (int unit = 0; unit < units; ++unit) {
      const float* from = weight + unit * columns + at;
      float* to = strip + unit * kStrip;
      if (width == kStrip) {
#pragma GCC unroll 8
        for (int n = 0; n < kStrip; n += kLanes) store(to + n, load_loose(from + n));
      } else {
        for (int n = 0; n < kStrip; ++n) to[n] = n < width ? from[n] : 0.0f;
      }
    }
    int r = 0;
    for (; r + kTileRows <= rows; r += kTileRows) {
      flat_gradient_tile<kTileRows>(rows, units, strip, gradient + r, flat_gradient + r * flat_stride + at,
                                    flat_stride);
    }
    for (; r < rows; r += 4) {
      flat_gradient_tile<4>(rows, units, strip, gradient + r, flat_gradient + r * flat_stride + at,
                            flat_stride);
    }
  }
}

/// Copies of what a tile of weight gradients reads, so that it is read in one go: rows of activations, and of
/// hidden gradients, lie pages apart.
struct TileOperands {
  float* flat;      ///< [rows][kStrip], of all micro-batches
  float* gradient;  ///< tile by tile: [rows][units of the tile]
};
inline TileOperands tile_operands(float* work, int rows) {
  return {work, work + rows * kStrip};
}

/// Units of the tile that begins at `unit`.
inline int tile_units(int units, int unit) {
  return unit + kTileRows <= units ? kTileRows : 1;
}

/// row: of the first of `rows` rows among the `all` of the operands.
inline void pack_gradient(const float* hidden_gradient, int rows, int units, int row, int all,
                          const TileOperands& to) {
  for (int u = 0, width = 1; u < units; u += width) {
    width = tile_units(units, u);
    float* tile = to.gradient + u * all + row * width;
    for (int r = 0; r < rows; ++r) {
      for (int n = 0; n < width; ++n) tile[r * width + n] = hidden_gradient[r * units + u + n];
    }
  }
}

inline void pack_strip(const float* flat, int flat_stride, int rows, int row, const TileOperands& to) {
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < kStrip; n += kLanes)
      store(to.flat + (row + r) * kStrip + n, load(flat + r * flat_stride + n));
  }
}

/// The gradient of a tile's units in kTileVectors vectors of columns, summed over the rows in their order.
/// flat: [rows][kStrip], gradient: [rows][kUnits].
template <int kUnits>
MGRN_TILE void weight_gradient_tile(int rows, const float* flat, const float* gradient,
                                    Vector (&result)[kUnits][kTileVectors]) {
  Vector total[kUnits][kTileVectors];
#pragma GCC unroll 8
  for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 4
    for (int n = 0; n < kTileVectors; ++n) total[u][n] = Vector{};
  }
  // Rows are a multiple of 4.
  for (int begin = 0; begin < rows; begin += 4) {
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      Vector value[kTileVectors];
#pragma GCC unroll 4
      for (int n = 0; n < kTileVectors; ++n) value[n] = load(flat + r * kStrip + n * kLanes);
#pragma GCC unroll 8
      for (int u = 0; u < kUnits; ++u) {
        const Vector g = splat(gradient[r * kUnits + u]);
#pragma GCC unroll 4
        for (int n = 0; n < kTileVectors; ++n) total[u][n] = fma(g, value[n], total[u][n]);
      }
    }
    flat += 4 * kStrip;
    gradient += 4 * kUnits;
  }
#pragma GCC unroll 8
  for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 4
    for (int n = 0; n < kTileVectors; ++n) result[u][n] = total[u][n];
  }
}

/// Columns of the vector that begins at `column`: none where it is less than 1.
inline int lanes_left(int columns, int column) {
  return columns - column < kLanes ? columns - column : kLanes;
}

/// The tile of units from `first` on in the strip at column `at`.
template <int kUnits>
inline void float_gradient_tile(int rows, int columns, const TileOperands& from, int first, int at,
                                float* gradient) {
  for (int v = 0; v < kStripVectors; v += kTileVectors) {
    Vector total[kUnits][kTileVectors];
    weight_gradient_tile<kUnits>(rows, from.flat + v * kLanes, from.gradient + first * rows, total);
#pragma GCC unroll 8
    for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 4
      for (int n = 0; n < kTileVectors; ++n) {
        const int column = at + (v + n) * kLanes;
        const int lanes = lanes_left(columns, column);
        float* to = gradient + (first + u) * columns + column;
        if (lanes == kLanes) {
          store_loose(to, total[u][n]);
        } else {
          for (int lane = 0; lane < lanes; ++lane) to[lane] = total[u][n][lane];
        }
      }
    }
  }
}

/// weight_gradient [units][columns] = hidden_gradient^T flat. work: [rows][kLargestStrip + units].
void predictor_weight_gradient(int rows, int units, int columns, const float* flat, int flat_stride,
                               const float* hidden_gradient, float* work, float* weight_gradient) {
  const TileOperands operands = tile_operands(work, rows);
  pack_gradient(hidden_gradient, rows, units, 0, rows, operands);
  for (int at = 0; at < columns; at += kStrip) {
    pack_strip(flat + at, flat_stride, rows, 0, operands);
    int u = 0;
    for (; tile_units(units, u) == kTileRows; u += kTileRows) {
      float_gradient_tile<kTileRows>(rows, columns, operands, u, at, weight_gradient);
    }
    for (; u < units; ++u) float_gradient_tile<1>(rows, columns, operands, u, at, weight_gradient);
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

/// What the tiles of the exact sum have in common.
struct ExactGradient {
  int rows;     ///< of a micro-batch
  int pending;  ///< micro-batches
  int columns;
  double factor;
  bool overwrite;
  std::uint64_t* sum;  ///< [units][columns]
  Integers* largest;   ///< [pending]: magnitudes
};

/// The exact sum's tile at kTileVectors vectors of columns: the pending micro-batches added to it, or written
/// over it, while it stays in registers as far as these reach.
template <int kUnits>
inline void exact_gradient_tile(const ExactGradient& exact, const TileOperands& from, int first, int at,
                                int v) {
  constexpr int kHalf = kLanes / 2;
  const int columns = exact.columns;
  const int column = at + v * kLanes;
  Longs sums[kUnits][2 * kTileVectors];
  const std::uint64_t start = static_cast<std::uint64_t>(exact.pending) * kBiasLeftOut;
#pragma GCC unroll 8
  for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 8
    for (int half = 0; half < 2 * kTileVectors; ++half) {
      const int begin = column + half * kHalf;
      const std::uint64_t* old = exact.sum + (first + u) * columns + begin;
      Longs before = {};
      if (!exact.overwrite && begin + kHalf <= columns) {
        before = *reinterpret_cast<const Longs*>(old);
      } else if (!exact.overwrite) {
        for (int lane = 0; begin + lane < columns; ++lane) before[lane] = old[lane];
      }
      sums[u][half] = before + start;
    }
  }
  const float* flat = from.flat + v * kLanes;
  const float* gradient = from.gradient + first * exact.rows * exact.pending;
  for (int b = 0; b < exact.pending; ++b) {
    Vector total[kUnits][kTileVectors];
    weight_gradient_tile<kUnits>(exact.rows, flat, gradient, total);
    flat += exact.rows * kStrip;
    gradient += exact.rows * kUnits;
    Integers largest = exact.largest[b];
#pragma GCC unroll 4
    for (int n = 0; n < kTileVectors; ++n) {
#pragma GCC unroll 8
      for (int u = 0; u < kUnits; ++u) {
        const Integers magnitude = reinterpret_cast<Integers>(total[u][n]) & 0x7FFFFFFF;
        largest = magnitude > largest ? magnitude : largest;
        Longs low, high;
        to_fixed_point(total[u][n], exact.factor, low, high);
        sums[u][2 * n] += low;
        sums[u][2 * n + 1] += high;
      }
    }
    exact.largest[b] = largest;
  }
#pragma GCC unroll 8
  for (int u = 0; u < kUnits; ++u) {
#pragma GCC unroll 8
    for (int half = 0; half < 2 * kTileVectors; ++half) {
      const int begin = column + half * kHalf;
      std::uint64_t* to = exact.sum + (first + u) * columns + begin;
      const Longs after = sums[u][half];
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
/// work: [pending.count * rows][kLargestStrip + units].
void predictor_exact_weight_gradient(int rows, int units, int columns, const PendingGradients& pending,
                                     int flat_stride, double factor, bool overwrite, float* work,
                                     std::uint64_t* sum, std::uint32_t* largest) {
  Integers most[kMostPending] = {};
  const int all = rows * pending.count;
  const TileOperands operands = tile_operands(work, all);
  const ExactGradient exact = {.rows = rows,
                               .pending = pending.count,
                               .columns = columns,
                               .factor = factor,
                               .overwrite = overwrite,
                               .sum = sum,
                               .largest = most};
  for (int b = 0; b < pending.count; ++b) {
    pack_gradient(pending.hidden_gradient[b], rows, units, b * rows, all, operands);
  }
  for (int at = 0; at < columns; at += kStrip) {
    for (int b = 0; b < pending.count; ++b)
      pack_strip(pending.flat[b] + at, flat_stride, rows, b * rows, operands);
    int u = 0;
    for (; tile_units(units, u) == kTileRows; u += kTileRows) {
      // The next tile's part lies in as many pages as it has rows, where no hardware would look ahead.
      if (u + 2 * kTileRows <= units) {
        for (int next = u + kTileRows; next < u + 2 * kTileRows; ++next) {
          fetch_ahead(sum + next * columns + at);
        }
      }
      for (int v = 0; v < kStripVectors; v += kTileVectors)
        exact_gradient_tile<kTileRows>(exact, operands, u, at, v);
    }
    for (; u < units; ++u) {
      for (int v = 0; v < kStripVectors; v += kTileVectors) exact_gradient_tile<1>(exact, operands, u, at, v);
    }
  }
  for (int b = 0; b < pending.count; ++b) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const std::uint32_t magnitude = static_cast<std::uint32_t>(most[b][lane]);
      largest[b] = magnitude > largest[b] ? magnitude : largest[b];
    }
  }
}

#undef MGRN_TILE

}  // namespace
}  // namespace mgrn::model::cpu
