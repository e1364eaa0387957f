// SPDX-License-Identifier: Apache-2.0
// Elementary functions on vectors. Coefficients come from fit_polynomials.py; tests/model/simd_math_test.cpp
// holds the accuracy stated here against double precision.
#pragma once

#include "model/cpu/simd.hpp"

namespace mgrn::model::cpu {
namespace {

/// exp(x) for x <= 0, within 2 ulp; below -87.3 it stays at exp(-87.3), about 1e-38. NaN stays NaN.
inline Vector exponential(Vector x) {
  x = at_least(x, splat(-87.3f));
  // Adding 1.5 * 2^23 leaves round(x / ln 2) in the low bits of the sum.
  const Vector magic = splat(12582912.0f);
  const Vector shifted = fma(x, splat(1.44269504f), magic);
  const Vector power = shifted - magic;
  Vector r = fma(power, splat(-0.693359375f), x);
  r = fma(power, splat(2.12194440e-4f), r);
  Vector q = fma(splat(0.00138143206f), r, splat(0.00836885162f));
  q = fma(q, r, splat(0.0416684002f));
  q = fma(q, r, splat(0.166665196f));
  q = fma(q, r, splat(0.49999994f));
  const Vector y = fma(r * r, q, r) + 1.0f;
  const Integers exponent = (reinterpret_cast<Integers>(shifted) << 23) + (127 << 23);
  return y * reinterpret_cast<Vector>(exponent);
}

struct Gelu {
  Vector value;
  Vector derivative;
};

/// x Phi(x) and Phi(x) + x phi(x), Phi the standard normal distribution (the exact, erf, form): errors below
/// 2e-7 of max(1, |x|).
inline Gelu gelu(Vector x) {
  const Vector t = at_most(absolute(x), splat(13.2f));
  const Vector density = exponential(t * t * -0.5f);
  const Vector u = 1.0f / fma(t, splat(0.25f), splat(1.0f));
  Vector p = fma(splat(0.0346917696f), u, splat(-0.200205907f));
  p = fma(p, u, splat(0.40444544f));
  p = fma(p, u, splat(-0.346047223f));
  p = fma(p, u, splat(0.314959317f));
  p = fma(p, u, splat(-0.026028743f));
  p = fma(p, u, splat(0.123535104f));
  p = fma(p, u, splat(0.0943932533f));
  p = fma(p, u, splat(0.10028135f));
  p = fma(p, u, splat(-2.43613231e-05f));
  const Vector tail = density * p;
  const Vector distribution = x > 0.0f ? 1.0f - tail : tail;
  return {x * distribution, fma(x * splat(0.398942280f), density, distribution)};
}

}  // namespace
}  // namespace mgrn::model::cpu
