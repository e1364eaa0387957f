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

#if defined(__AVX512F__)

/// Phi(x) - 1/2 and the slope of GELU less 1/2, odd functions, on [0, 5.8]: 16 polynomials of degree 4 and 5
/// in the distance to the nearest of 16 places; a row for each power, highest first. 1e-7 is left of the
/// tail.
alignas(64) constexpr float kDistributionPieces[5][16] = {
    {9.0566471e-05f, 0.000322046661f, 0.000446472928f, 0.000337383506f, 0.000121652694f, -5.13524719e-05f,
     -0.000118902484f, -0.00010632044f, -6.59956495e-05f, -3.17722515e-05f, -1.23831214e-05f,
     -3.99277087e-06f, -1.07870505e-06f, -2.46193707e-07f, -4.77365099e-08f, -7.8958271e-09f},
    {-0.00352317188f, -0.00277795666f, -0.00115844514f, 0.000470718602f, 0.00139619154f, 0.00150577724f,
     0.00113106368f, 0.000663128332f, 0.000316668942f, 0.00012578466f, 4.20629622e-05f, 1.19325805e-05f,
     2.88651586e-06f, 5.97605549e-07f, 1.06178462e-07f, 1.6223284e-08f},
    {7.01405452e-06f, -0.00974423159f, -0.015796816f, -0.0166970305f, -0.0136379674f, -0.00907862093f,
     -0.00504367752f, -0.00236822735f, -0.000946942833f, -0.000324010878f, -9.51854017e-05f, -2.40647041e-05f,
     -5.2449891e-06f, -9.86808914e-07f, -1.60430602e-07f, -2.25555947e-08f},
    {0.149281189f, 0.139186859f, 0.11281994f, 0.0794994757f, 0.0487003066f, 0.0259349849f, 0.0120067131f,
     0.00483217509f, 0.00169058528f, 0.000514164916f, 0.000135935523f, 3.12407938e-05f, 6.24111817e-06f,
     1.0837914e-06f, 1.63592318e-07f, 2.14636611e-08f},
    {4.35930048e-09f, 0.145869836f, 0.272886634f, 0.369192183f, 0.432773978f, 0.469325215f, 0.487621099f,
     0.495595187f, 0.498621225f, 0.499621063f, 0.499908686f, 0.499980748f, 0.499996454f, 0.499999434f,
     0.499999911f, 0.5f},
};
alignas(64) constexpr float kSlopePieces[6][16] = {
    {0.000425122504f, 0.000251777848f, -0.000103170161f, -0.000293427496f, -0.000215149194f, -3.22831256e-05f,
     7.58834503e-05f, 7.7113873e-05f, 3.50459995e-05f, 3.53455243e-06f, -6.63508672e-06f, -5.68703445e-06f,
     -2.77501204e-06f, -9.84814051e-07f, -2.73411132e-07f, -6.13906437e-08f},
    {1.04775809e-05f, 0.00185313704f, 0.00222008396f, 0.00111286074f, -0.000247892429f, -0.000863828638f,
     -0.000705524988f, -0.000289399584f, -5.60462149e-06f, 8.14725063e-05f, 6.65370171e-05f, 3.35208497e-05f,
     1.25716842e-05f, 3.73268654e-06f, 9.03295643e-07f, 1.81129849e-07f},
    {-0.0139381029f, -0.00987243932f, -0.00103534106f, 0.00599793764f, 0.00757252006f, 0.00499329576f,
     0.00164666562f, -0.000343478052f, -0.000851347111f, -0.000639019825f, -0.000323851622f, -0.000125805978f,
     -3.92724505e-05f, -1.0086158e-05f, -2.16060903e-06f, -3.89475417e-07f},
    {3.8917463e-07f, -0.0376120061f, -0.0543389693f, -0.0457469858f, -0.0239991192f, -0.00453545665f,
     0.00524878083f, 0.0067756162f, 0.00469841622f, 0.00237909984f, 0.000952253758f, 0.000311555545f,
     8.48122072e-05f, 1.94158329e-05f, 3.76416529e-06f, 6.21033962e-07f},
    {0.298563242f, 0.258886427f, 0.162451327f, 0.0588141866f, -0.0117040817f, -0.0389152654f, -0.0365091972f,
     -0.0234899614f, -0.0117698293f, -0.00480414042f, -0.00163210998f, -0.000467099046f, -0.000113463218f,
     -2.35109019e-05f, -4.17052252e-06f, -6.34964181e-07f},
    {1.28833347e-10f, 0.285057634f, 0.498526484f, 0.607688367f, 0.627571881f, 0.598997772f, 0.559660971f,
     0.529421329f, 0.512147188f, 0.504249513f, 0.501268566f, 0.500324607f, 0.500071406f, 0.50001353f,
     0.500002205f, 0.500000298f},
};

/// Where |x| lies among the pieces.
struct Place {
  Vector magnitude;
  Integers piece;
  Vector distance;
};

inline Place place_of(Vector x) {
  const Vector magnitude = absolute(x);
  const Vector inside = at_most(magnitude, splat(5.7999f));  // 5.8 would round to a 17th place
  const Vector scale = splat(15.5f / 5.8f);
  // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits of the sum.
  const Vector magic = splat(12582912.0f);
  const Vector shifted = fma(inside, scale, magic);
  return {magnitude, reinterpret_cast<Integers>(shifted), fma(inside, scale, magic - shifted)};
}

/// One piecewise polynomial at a place: a permutation fetches each coefficient from a register of them,
/// beside the multiply-adds.
template <int kPowers>
inline Vector piecewise(const float (&table)[kPowers][16], const Place& place) {
  Vector value = pick(table[0], place.piece);
#pragma GCC unroll 8
  for (int power = 1; power < kPowers; ++power) {
    value = fma(value, place.distance, pick(table[power], place.piece));
  }
  return value;
}

/// x Phi(x), the exact (erf) form of GELU: errors below 2.5e-7 of max(1, |x|).
inline Vector gelu(Vector x) {
  const Place place = place_of(x);
  return fma(place.magnitude, piecewise(kDistributionPieces, place), x * 0.5f);
}

struct GeluWithSlope {
  Vector value;
  Vector slope;  ///< Phi(x) + x phi(x)
};

inline GeluWithSlope gelu_with_slope(Vector x) {
  const Place place = place_of(x);
  return {fma(place.magnitude, piecewise(kDistributionPieces, place), x * 0.5f),
          with_sign_of(piecewise(kSlopePieces, place), x) + 0.5f};
}

#else

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

#endif

}  // namespace
}  // namespace mgrn::model::cpu
