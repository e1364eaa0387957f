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
// Columns that the backward passes take at once: rows of the weights lie pages apart, and the copy of a strip
// still fits the first-level cache.
constexpr int kStripVectors = 6;
constexpr int kStrip = kStripVectors * kLanes;
static_assert(kFlatPadding % kStrip == 0 && kStrip <= kLargestStrip);

// With 16 registers a tile takes all of them: what surrounds its loop must stay out of it.
#if defined(__AVX512F__)
#define MGRN_TILE MGRN_INLINE
#else
#define MGRN_TILE MGRN_APART
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
      const Vector x = load_once(flat + r * kLanes);
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

// About half of the hidden units were cut off by the rectifier, others in each sample, and have no gradient.
// The backward passes walk lists of those that have one: half the multiply-adds, and nothing is missed.

/// Lists of gradients that are not zero, one behind the other, and where in a strip's copy lies what they are
/// factors of.
struct GradientLists {
  int* lengths;
  float* factors;
  std::int32_t* places;

  void pass(int length) {
    ++lengths;
    factors += length;
    places += length;
  }
};

/// Writes lists in work space of gradient_lists_room().
class GradientListWriter {
 public:
  GradientListWriter(float* work, int gradients, int list_count)
      : lists_{.lengths = reinterpret_cast<int*>(work),
               .factors = work + list_count,
               .places = reinterpret_cast<std::int32_t*>(work + list_count + gradients)},
        next_(lists_) {}

  /// The list of `count` factors, `step` apart: the i-th one's row begins at i * kStrip.
  void append(const float* from, int count, int step) {
    int length = 0;
    for (int i = 0; i < count; ++i) {
      const float factor = from[i * step];
      next_.factors[length] = factor;
      next_.places[length] = i * kStrip;
      length += factor != 0.0f ? 1 : 0;  // NaN is listed
    }
    *next_.lengths = length;
    next_.pass(length);
  }

  const GradientLists& lists() const { return lists_; }

 private:
  GradientLists lists_, next_;
};

/// total += factor row
MGRN_INLINE void add_row(float factor, const float* row, Vector (&total)[kStripVectors]) {
  const Vector all = splat(factor);
#pragma GCC unroll 8
  for (int n = 0; n < kStripVectors; ++n) total[n] = fma(all, load(row + n * kLanes), total[n]);
}

/// Columns of the next strip that a pair of rows fetches: about half of the units are listed, of eight
/// samples.
constexpr int kFetchedAhead = 4 * kStrip / 8;

/// total = sum_i factors[i] strip[places[i]...] of a long list: two sums, as every multiply-add waits for the
/// one before. Fetches `ahead` into the second-level cache meanwhile, a few columns for each pair; behind the
/// last strip that is of no use, and no harm.
MGRN_TILE void sum_many_rows(const float* strip, const float* factors, const std::int32_t* places, int count,
                             const float* ahead, Vector (&total)[kStripVectors]) {
  constexpr int kLine = 16;
  Vector even[kStripVectors] = {}, odd[kStripVectors] = {};
  int i = 0;
  for (; i + 2 <= count; i += 2, ahead += kFetchedAhead) {
    add_row(factors[i], strip + places[i], even);
    add_row(factors[i + 1], strip + places[i + 1], odd);
#pragma GCC unroll 4
    for (int n = 0; n < kFetchedAhead; n += kLine) __builtin_prefetch(ahead + n, 0, 2);
  }
  if (i < count) add_row(factors[i], strip + places[i], even);
#pragma GCC unroll 8
  for (int n = 0; n < kStripVectors; ++n) total[n] = even[n] + odd[n];
}

/// The same of a short list, which is then passed: one sum, whose multiply-adds overlap with what is done
/// with the list before.
MGRN_INLINE void sum_few_rows(const float* strip, GradientLists& list, Vector (&total)[kStripVectors]) {
  const int length = *list.lengths;
#pragma GCC unroll 8
  for (Vector& value : total) value = Vector{};
#pragma GCC unroll 1
  for (int i = 0; i < length; ++i) add_row(list.factors[i], strip + list.places[i], total);
  list.pass(length);
}

/// weight [units][columns] -> strips [flat_stride / kStrip][units][kStrip], zero behind the last column: rows
/// of the weights lie pages apart.
void predictor_strips(int units, int columns, const float* weight, float* strips) {
  for (int at = 0; at < columns; at += kStrip) {
    const int width = at + kStrip <= columns ? kStrip : columns - at;
    for (int unit = 0; unit < units; ++unit, strips += kStrip) {
      const float* from = weight + unit * columns + at;
      if (width == kStrip) {
#pragma GCC unroll 8
        for (int n = 0; n < kStrip; n += kLanes) store(strips + n, load_loose(from + n));
      } else {
        for (int n = 0; n < kStrip; ++n) strips[n] = n < width ? from[n] : 0.0f;
      }
    }
  }
}

/// flat_gradient [rows][flat_stride] = hidden_gradient weight. flat_stride is a multiple of kStrip.
void predictor_flat_gradient(int rows, int units, int columns, int flat_stride, const float* strips,
                             const float* hidden_gradient, float* work, float* flat_gradient) {
  GradientListWriter writer(work, rows * units, rows);
  for (int r = 0; r < rows; ++r) writer.append(hidden_gradient + r * units, units, 1);
  for (int at = 0; at < columns; at += kStrip, strips += units * kStrip) {
    GradientLists next = writer.lists();
    for (int r = 0; r < rows; ++r) {
      Vector total[kStripVectors];
      // A strip fills most of the first-level cache, and the next one lies in the last.
      const float* const ahead = strips + units * kStrip + r * (units * kStrip / rows);
      sum_many_rows(strips, next.factors, next.places, *next.lengths, ahead, total);
      next.pass(*next.lengths);
      float* const to = flat_gradient + r * flat_stride + at;
#pragma GCC unroll 8
      for (int n = 0; n < kStripVectors; ++n) store(to + n * kLanes, total[n]);
    }
  }
}

/// flat [rows][flat_stride] -> strip [rows][kStrip]: rows lie pages apart.
inline void pack_strip(const float* flat, int flat_stride, int rows, float* strip) {
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int n = 0; n < kStrip; n += kLanes) store(strip + r * kStrip + n, load(flat + r * flat_stride + n));
  }
}

/// Columns of the vector that begins at `column`: none where it is less than 1.
inline int lanes_left(int columns, int column) {
  return columns - column < kLanes ? columns - column : kLanes;
}

/// weight_gradient [units][columns] = hidden_gradient^T flat.
void predictor_weight_gradient(int rows, int units, int columns, const float* flat, int flat_stride,
                               const float* hidden_gradient, float* work, float* weight_gradient) {
  float* const strip = work;  // [rows][kStrip]
  GradientListWriter writer(strip + rows * kStrip, rows * units, units);
  for (int u = 0; u < units; ++u) writer.append(hidden_gradient + u, rows, units);
  for (int at = 0; at < columns; at += kStrip) {
    pack_strip(flat + at, flat_stride, rows, strip);
    GradientLists next = writer.lists();
    for (int u = 0; u < units; ++u) {
      Vector total[kStripVectors];
      sum_few_rows(strip, next, total);
#pragma GCC unroll 8
      for (int n = 0; n < kStripVectors; ++n) {
        const int column = at + n * kLanes;
        const int lanes = lanes_left(columns, column);
        float* const to = weight_gradient + u * columns + column;
        if (lanes == kLanes) {
          store_loose(to, total[n]);
        } else {
          for (int lane = 0; lane < lanes; ++lane) to[lane] = total[n][lane];
        }
      }
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

/// A strip of a row of the exact sum, into the first-level cache, to be written.
inline void fetch_ahead(const std::uint64_t* strip) {
#pragma GCC unroll 4
  for (int n = 0; n < kStrip; n += 8) __builtin_prefetch(strip + n, 1);
}

/// The same of several micro-batches, added to the exact sum; the first overwrites it where asked to.
void predictor_exact_weight_gradient(int rows, int units, int columns, const PendingGradients& pending,
                                     int flat_stride, double factor, bool overwrite, float* work,
                                     std::uint64_t* sum, std::uint32_t* largest) {
  constexpr int kHalf = kLanes / 2;
  constexpr int kHalves = 2 * kStripVectors;
  Integers most[kMostPending] = {};
  float* const strips = work;  // [pending.count][rows][kStrip]
  GradientListWriter writer(strips + pending.count * rows * kStrip, pending.count * rows * units,
                            pending.count * units);
  for (int u = 0; u < units; ++u) {
    for (int b = 0; b < pending.count; ++b) writer.append(pending.hidden_gradient[b] + u, rows, units);
  }
  const std::uint64_t start = static_cast<std::uint64_t>(pending.count) * kBiasLeftOut;
  for (int at = 0; at < columns; at += kStrip) {
    const bool whole = at + kStrip <= columns;
    for (int b = 0; b < pending.count; ++b)
      pack_strip(pending.flat[b] + at, flat_stride, rows, strips + b * rows * kStrip);
    GradientLists next = writer.lists();
    for (int u = 0; u < units; ++u) {
      std::uint64_t* const to = sum + u * columns + at;
      // The next unit's part lies in another page, where no hardware would look ahead.
      if (u + 1 < units) fetch_ahead(to + columns);
      Longs sums[kHalves];
      if (overwrite) {
#pragma GCC unroll 16
        for (Longs& sum_of_half : sums) sum_of_half = Longs{} + start;
      } else if (whole) {
#pragma GCC unroll 16
        for (int half = 0; half < kHalves; ++half)
          sums[half] = *reinterpret_cast<const Longs*>(to + half * kHalf) + start;
      } else {
        for (int half = 0; half < kHalves; ++half) {
          Longs before = {};
          for (int lane = 0; lane < kHalf && at + half * kHalf + lane < columns; ++lane)
            before[lane] = to[half * kHalf + lane];
          sums[half] = before + start;
        }
      }
      for (int b = 0; b < pending.count; ++b) {
        Vector total[kStripVectors];
        sum_few_rows(strips + b * rows * kStrip, next, total);
        Integers magnitudes = most[b];
#pragma GCC unroll 8
        for (int n = 0; n < kStripVectors; ++n) {
          const Integers magnitude = reinterpret_cast<Integers>(total[n]) & 0x7FFFFFFF;
          magnitudes = magnitude > magnitudes ? magnitude : magnitudes;
          Longs low, high;
          to_fixed_point(total[n], factor, low, high);
          sums[2 * n] += low;
          sums[2 * n + 1] += high;
        }
        most[b] = magnitudes;
      }
      if (whole) {
#pragma GCC unroll 16
        for (int half = 0; half < kHalves; ++half) *reinterpret_cast<Longs*>(to + half * kHalf) = sums[half];
      } else {
        for (int half = 0; half < kHalves; ++half) {
          for (int lane = 0; lane < kHalf && at + half * kHalf + lane < columns; ++lane)
            to[half * kHalf + lane] = sums[half][lane];
        }
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

#undef MGRN_TILE

}  // namespace
}  // namespace mgrn::model::cpu
