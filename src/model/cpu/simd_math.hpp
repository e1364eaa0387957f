// SPDX-License-Identifier: Apache-2.0
// The exponential on vectors. Coefficients come from fit_polynomials.py; tests/model/simd_math_test.cpp
// holds the accuracy stated here against double precision.
#pragma once

#include "model/cpu/kernels.hpp"
#include "model/cpu/simd.hpp"

namespace mgrn::model::cpu {
namespace {

// Several vectors go through a function step by step, side by side, where each step waits for the one before:
// what a processor looks ahead is a few dozen instructions, less than one vector's.
// NOLINTNEXTLINE(bugprone-macro-parentheses): a variable's name
#define MGRN_EACH(u) _Pragma("GCC unroll 8") for (int u = 0; u < kCount; ++u)
/// So many of them.
constexpr int kSideBySide = kTokenBlock / kLanes < 4 ? kTokenBlock / kLanes : 4;

/// x = exp(x) for x <= 0, within 2 ulp; below -87.3 it stays at exp(-87.3), about 1e-38. NaN stays NaN.
template <int kCount>
inline void exponential(Vector (&x)[kCount]) {
  // Adding 1.5 * 2^23 leaves round(x / ln 2) in the low bits of the sum; the 127 is the exponent's bias.
  const Vector magic = splat(12582912.0f + 127.0f);
  Vector shifted[kCount], power[kCount], r[kCount], q[kCount];
  MGRN_EACH(u) x[u] = at_least(x[u], splat(-87.3f));
  MGRN_EACH(u) shifted[u] = fma(x[u], splat(1.44269504f), magic);
  MGRN_EACH(u) power[u] = shifted[u] - magic;
  MGRN_EACH(u) r[u] = fma(power[u], splat(-0.693359375f), x[u]);
  MGRN_EACH(u) r[u] = fma(power[u], splat(2.12194440e-4f), r[u]);
  MGRN_EACH(u) q[u] = fma(splat(0.00138143206f), r[u], splat(0.00836885162f));
  MGRN_EACH(u) q[u] = fma(q[u], r[u], splat(0.0416684002f));
  MGRN_EACH(u) q[u] = fma(q[u], r[u], splat(0.166665196f));
  MGRN_EACH(u) q[u] = fma(q[u], r[u], splat(0.49999994f));
  MGRN_EACH(u) q[u] = fma(r[u] * r[u], q[u], r[u]) + 1.0f;
  MGRN_EACH(u) x[u] = q[u] * reinterpret_cast<Vector>(reinterpret_cast<Integers>(shifted[u]) << 23);
}

inline Vector exponential(Vector x) {
  Vector one[1] = {x};
  exponential(one);
  return one[0];
}

}  // namespace
}  // namespace mgrn::model::cpu
