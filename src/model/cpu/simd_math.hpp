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
  // Adding 1.5 * 2^23 leaves round(x / ln 2) in the low bits of the sum; the 127 is the exponent's bias.
  const Vector magic = splat(12582912.0f + 127.0f);
  const Vector shifted = fma(x, splat(1.44269504f), magic);
  const Vector power = shifted - magic;
  Vector r = fma(power, splat(-0.693359375f), x);
  r = fma(power, splat(2.12194440e-4f), r);
  Vector q = fma(splat(0.00138143206f), r, splat(0.00836885162f));
  q = fma(q, r, splat(0.0416684002f));
  q = fma(q, r, splat(0.166665196f));
  q = fma(q, r, splat(0.49999994f));
  const Vector y = fma(r * r, q, r) + 1.0f;
  return y * reinterpret_cast<Vector>(reinterpret_cast<Integers>(shifted) << 23);
}

/// Phi(x) of the standard normal distribution, errors below 2.5e-7: 1/2 + x p(x^2) on |x| <= 5.2, where 1e-7
/// is left of the tail. Without exponential and division it costs half of what the usual forms do, and a step
/// evaluates it 16 times per cell and layer, twice.
inline Vector normal_distribution(Vector x) {
  x = at_most(at_least(x, splat(-5.2f)), splat(5.2f));
  // Powers of the square moved to [-1, 1]: those of the square itself would cancel.
  const Vector y = fma(x * x, splat(2.0f / 27.04f), splat(-1.0f));
  Vector p = fma(splat(-0.000481276831f), y, splat(0.00126851129f));
  p = fma(p, y, splat(-0.00122149463f));
  p = fma(p, y, splat(0.00180012174f));
  p = fma(p, y, splat(-0.0047890381f));
  p = fma(p, y, splat(0.00855996832f));
  p = fma(p, y, splat(-0.0125051215f));
  p = fma(p, y, splat(0.0179547872f));
  p = fma(p, y, splat(-0.0247236285f));
  p = fma(p, y, splat(0.0319899581f));
  p = fma(p, y, splat(-0.0399298184f));
  p = fma(p, y, splat(0.0500245206f));
  p = fma(p, y, splat(-0.0677436665f));
  p = fma(p, y, splat(0.135949999f));
  return fma(p, x, splat(0.5f));
}

/// x Phi(x), the exact (erf) form of GELU: errors below 2.5e-7 of max(1, |x|).
inline Vector gelu(Vector x) {
  return x * normal_distribution(x);
}

struct GeluWithSlope {
  Vector value;
  Vector slope;  ///< Phi(x) + x phi(x)
};

inline GeluWithSlope gelu_with_slope(Vector x) {
  const Vector distribution = normal_distribution(x);
  const Vector density = exponential(x * x * -0.5f);
  return {x * distribution, fma(x * splat(0.398942280f), density, distribution)};
}

}  // namespace
}  // namespace mgrn::model::cpu
