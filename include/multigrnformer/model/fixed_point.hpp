// SPDX-License-Identifier: Apache-2.0
// Floats as 64-bit fixed point: the arithmetic below the exact gradient sum. It is here because engines add
// their gradients straight from registers (Engine::accumulate). A float g becomes
// round(g * 2^scale), half to even, in the low bits of the double g * 2^scale + 1.5 * 2^52; the bits of that
// double, bias included, are added as integers modulo 2^64, and the bias leaves once, at the end.
// Every function has one result, bit for bit, on every processor: `*_scalar` is the reference, the plain name
// picks the fastest one that the processor runs. Thread-safe, no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mgrn::model {

/// What one addition adds too much: the bits of 1.5 * 2^52.
inline constexpr std::uint64_t kFixedPointBias = 0x4338000000000000ull;

/// Scales that leave room for both the limit and the rounding: 1 .. 49.
inline constexpr int kSmallestScale = 1;
inline constexpr int kLargestScale = 49;

/// Absolute values at and above 2^(50 - scale), as float bits, are out of range.
std::uint32_t fixed_point_limit(int scale);

/// A sum of micro-batch gradients in the making. Memory of `values` belongs to the caller.
struct FixedPointSum {
  std::span<std::uint64_t> values;  ///< one per parameter
  int scale = kSmallestScale;       ///< fractional bits
  /// Nothing was added since the start: `values` holds anything, and the first addition overwrites it.
  bool fresh = true;
  /// By micro-batch, in the order of their addition: the largest bits(|value|), see add_fixed_point.
  std::vector<std::uint32_t> largest;
};

/// sum[i] += bits(values[i] * 2^scale + 1.5 * 2^52), modulo 2^64. Returns the largest bits(|value|) as an
/// unsigned number: at least 0x7f800000 when a NaN or an infinity is among them, at least fixed_point_limit
/// when a value is out of range; the sum then holds rubbish and must be started anew.
std::uint32_t add_fixed_point(std::span<const float> values, int scale, std::span<std::uint64_t> sum);
std::uint32_t add_fixed_point_scalar(std::span<const float> values, int scale, std::span<std::uint64_t> sum);

/// values[i] = (sum[i] - bias * additions) * (2^-scale / divisor): the integer to the nearest double, the
/// product to the nearest float. Right for every 64-bit integer.
void to_float(std::span<const std::uint64_t> sum, std::uint64_t additions, int scale, double divisor,
              std::span<float> values);
void to_float_scalar(std::span<const std::uint64_t> sum, std::uint64_t additions, int scale, double divisor,
                     std::span<float> values);

/// The same of the total of any number of sums from value `first` on: sums of several threads or ranks, added
/// up on the way. `additions` are those of all together.
void to_float(std::span<const std::uint64_t* const> sums, std::size_t first, std::uint64_t additions,
              int scale, double divisor, std::span<float> values);

}  // namespace mgrn::model
