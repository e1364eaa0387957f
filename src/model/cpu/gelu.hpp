// SPDX-License-Identifier: Apache-2.0
// GELU and its slope, which a step evaluates 16 times per cell and layer, twice. The inner layer's inputs
// come from a layer norm, whose output has length sqrt(width) at most: so an inner unit's weights bound its
// values, whatever the samples are (the engine works the bounds out), and within a bound few terms of a
// polynomial do. Coefficients come from fit_polynomials.py; tests/model/simd_math_test.cpp holds the accuracy
// stated here against double precision.
#pragma once

#include "model/cpu/kernels.hpp"
#include "model/cpu/simd.hpp"
#include "model/cpu/simd_math.hpp"

namespace mgrn::model::cpu {
namespace {

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

/// x = x Phi(x), the exact (erf) form of GELU: errors below 2.5e-7 of max(1, |x|).
template <int kCount>
inline void gelu_anywhere(Vector (&x)[kCount]) {
  MGRN_EACH(u) {
    const Place place = place_of(x[u]);
    x[u] = fma(place.magnitude, piecewise(kDistributionPieces, place), x[u] * 0.5f);
  }
}

/// The same, and slope = Phi(x) + x phi(x).
template <int kCount>
inline void gelu_anywhere_with_slope(Vector (&x)[kCount], Vector (&slope)[kCount]) {
  MGRN_EACH(u) {
    const Place place = place_of(x[u]);
    slope[u] = with_sign_of(piecewise(kSlopePieces, place), x[u]) + 0.5f;
    x[u] = fma(place.magnitude, piecewise(kDistributionPieces, place), x[u] * 0.5f);
  }
}

#else

/// result = Phi(x) of the standard normal distribution, errors below 2.5e-7: 1/2 + x p(x^2) on |x| <= 5.2,
/// where 1e-7 is left of the tail. Without exponential and division it costs half of what the usual forms do.
template <int kCount>
inline void normal_distribution(const Vector (&x)[kCount], Vector (&result)[kCount]) {
  constexpr float kPowers[] = {0.00126851129f, -0.00122149463f, 0.00180012174f, -0.0047890381f,
                               0.00855996832f, -0.0125051215f,  0.0179547872f,  -0.0247236285f,
                               0.0319899581f,  -0.0399298184f,  0.0500245206f,  -0.0677436665f,
                               0.135949999f};
  Vector inside[kCount], y[kCount], p[kCount];
  MGRN_EACH(u) inside[u] = at_most(at_least(x[u], splat(-5.2f)), splat(5.2f));
  // Powers of the square moved to [-1, 1]: those of the square itself would cancel.
  MGRN_EACH(u) y[u] = fma(inside[u] * inside[u], splat(2.0f / 27.04f), splat(-1.0f));
  MGRN_EACH(u) p[u] = splat(-0.000481276831f);
#pragma GCC unroll 16
  for (const float power : kPowers) {
    MGRN_EACH(u) p[u] = fma(p[u], y[u], splat(power));
  }
  MGRN_EACH(u) result[u] = fma(p[u], inside[u], splat(0.5f));
}

/// x = x Phi(x), the exact (erf) form of GELU: errors below 2.5e-7 of max(1, |x|).
template <int kCount>
inline void gelu_anywhere(Vector (&x)[kCount]) {
  Vector distribution[kCount];
  normal_distribution(x, distribution);
  MGRN_EACH(u) x[u] *= distribution[u];
}

/// The same, and slope = Phi(x) + x phi(x).
template <int kCount>
inline void gelu_anywhere_with_slope(Vector (&x)[kCount], Vector (&slope)[kCount]) {
  Vector density[kCount];
  normal_distribution(x, slope);
  MGRN_EACH(u) density[u] = x[u] * x[u] * -0.5f;
  exponential(density);
  MGRN_EACH(u) density[u] = fma(x[u] * splat(0.398942280f), density[u], slope[u]);
  MGRN_EACH(u) x[u] *= slope[u];
  MGRN_EACH(u) slope[u] = density[u];
}

#endif

/// Phi(x) - 1/2 = x p(y) and slope - 1/2 = x p(y), y = 2 x^2 / limit^2 - 1, on |x| <= limit: coefficients of
/// p, highest first, kTerms of them for the slope; errors below 6e-8.
template <int kTerms>
struct BoundedGelu;
template <>
struct BoundedGelu<6> {
  static constexpr float kDistribution[] = {2.25837939e-05f, -0.000336996018f, 0.00401041051f, -0.0387462564f,
                                            0.355825573f};
  static constexpr float kSlope[] = {-1.50096212e-05f, 0.000219075519f, -0.00250035501f,
                                     0.0220455583f,    -0.138946161f,   0.634158194f};
};
template <>
struct BoundedGelu<7> {
  static constexpr float kDistribution[] = {-2.41219459e-05f, 0.00023135489f, -0.00177828921f,
                                            0.0114888186f,    -0.0611447133f, 0.32427451f};
  static constexpr float kSlope[] = {2.93248577e-05f, -0.000275198108f, 0.00203591329f, -0.01238974f,
                                     0.0582739934f,   -0.198620901f,    0.526259124f};
};
template <>
struct BoundedGelu<8> {
  static constexpr float kDistribution[] = {2.24902615e-05f, -0.000165211371f, 0.000966863066f,
                                            -0.0049538184f,  0.0213465914f,    -0.0773231983f,
                                            0.294163764f};
  static constexpr float kSlope[] = {-4.086626e-05f, 0.000293656252f, -0.00165185158f, 0.00804302469f,
                                     -0.0319206864f, 0.0983486921f,   -0.223903969f,   0.433681458f};
};
template <>
struct BoundedGelu<9> {
  static constexpr float kDistribution[] = {-2.37832555e-05f, 0.000141942321f, -0.000661767961f,
                                            0.00281777233f,   -0.0103814071f,  0.0324922465f,
                                            -0.0878209621f,   0.264602125f};
  static constexpr float kSlope[] = {5.95977363e-05f, -0.000347671536f, 0.00155093032f,
                                     -0.00628719619f, 0.021614667f,     -0.0604885407f,
                                     0.132656112f,    -0.221316904f,    0.353562564f};
};
template <>
struct BoundedGelu<10> {
  static constexpr float kDistribution[] = {2.77562704e-05f, -0.000139967931f, 0.000532966165f,
                                            -0.00194048451f, 0.00628482318f,   -0.0176255964f,
                                            0.0427401289f,   -0.0924291834f,   0.237221166f};
  static constexpr float kSlope[] = {-9.06947607e-05f, 0.000446650723f, -0.00161598437f, 0.00559465401f,
                                     -0.0170062762f,   0.0433937423f,   -0.0906990841f,  0.150695458f,
                                     -0.198757887f,    0.289583743f};
};
template <>
struct BoundedGelu<11> {
  static constexpr float kDistribution[] = {
      -3.50413029e-05f, 0.000153512476f, -0.000483154203f, 0.00153208361f, -0.00445252704f,
      0.0113600008f,    -0.025451066f,   0.0503784567f,    -0.0922149643f, 0.212881297f};
  static constexpr float kSlope[] = {0.000143272016f, -0.000612452161f, 0.00181406934f, -0.00545100402f,
                                     0.0149288233f,   -0.0349293463f,   0.0690000877f,  -0.112756126f,
                                     0.149572119f,    -0.167344317f,    0.241332546f};
};
template <>
struct BoundedGelu<12> {
  static constexpr float kDistribution[] = {
      4.71434505e-05f, -0.000183163938f, 0.000477521477f, -0.0013336608f, 0.0035454866f, -0.00831664074f,
      0.0173589699f,   -0.0323880278f,   0.0546980835f,   -0.0887743831f, 0.191819057f};
  static constexpr float kSlope[] = {-0.00023369056f, 0.00088525092f, -0.00214406429f, 0.00564019661f,
                                     -0.0142082684f,  0.0306997709f,  -0.0570597164f,  0.090506345f,
                                     -0.120261945f,   0.133851439f,   -0.136303976f,   0.206089497f};
};
template <>
struct BoundedGelu<13> {
  static constexpr float kDistribution[] = {
      -5.50600889e-05f, 0.000196801237f, -0.000438065064f, 0.00111215038f, -0.00281583914f, 0.00626076991f,
      -0.0124759497f,   0.0225130301f,   -0.0368686542f,   0.0559346005f,  -0.084321484f,   0.175949782f};
  static constexpr float kSlope[] = {0.00031746857f, -0.00110623997f, 0.00225769146f, -0.00536323991f,
                                     0.0129984571f,  -0.0267749f,     0.0478341058f,  -0.0747704059f,
                                     0.100450814f,   -0.114815593f,   0.114389889f,   -0.113548778f,
                                     0.183256656f};
};

/// x = GELU(x) within the limit of so many terms, and its slope where that is asked for.
template <int kTerms, bool kWithSlope, int kCount>
MGRN_INLINE void bounded_gelu(float limit, float* x, float* slope) {
  using Bounded = BoundedGelu<kTerms>;
  const Vector scale = splat(2.0f / (limit * limit));
  Vector y[kCount], distribution[kCount], rise[kCount];
  MGRN_EACH(u) y[u] = load(x + u * kLanes);
  MGRN_EACH(u) y[u] = fma(y[u] * y[u], scale, splat(-1.0f));
  MGRN_EACH(u) distribution[u] = splat(Bounded::kDistribution[0]);
  if constexpr (kWithSlope) {
    MGRN_EACH(u) rise[u] = fma(y[u], splat(Bounded::kSlope[0]), splat(Bounded::kSlope[1]));
  }
#pragma GCC unroll 16
  for (int m = 1; m < kTerms - 1; ++m) {
    MGRN_EACH(u) distribution[u] = fma(distribution[u], y[u], splat(Bounded::kDistribution[m]));
    if constexpr (kWithSlope) {
      MGRN_EACH(u) rise[u] = fma(rise[u], y[u], splat(Bounded::kSlope[m + 1]));
    }
  }
  MGRN_EACH(u) {
    const Vector value = load(x + u * kLanes);
    if constexpr (kWithSlope) store(slope + u * kLanes, fma(rise[u], value, splat(0.5f)));
    store(x + u * kLanes, fma(distribution[u], value, splat(0.5f)) * value);
  }
}

/// A row of values, a multiple of kTokenBlock. slope: null where it is not asked for.
template <int kTerms, bool kWithSlope>
void gelu_row(float* x, float* slope, int cells) {
  constexpr int kCount = kSideBySide;
  for (int n = 0; n < cells; n += kCount * kLanes) {
    if constexpr (kTerms > 0) {
      bounded_gelu<kTerms, kWithSlope, kCount>(kGeluLimits[kTerms - kLeastGeluTerms], x + n,
                                               kWithSlope ? slope + n : nullptr);
    } else {
      Vector values[kCount], slopes[kCount];
      MGRN_EACH(u) values[u] = load(x + n + u * kLanes);
      if constexpr (kWithSlope) {
        gelu_anywhere_with_slope(values, slopes);
        MGRN_EACH(u) store(slope + n + u * kLanes, slopes[u]);
      } else {
        gelu_anywhere(values);
      }
      MGRN_EACH(u) store(x + n + u * kLanes, values[u]);
    }
  }
}

/// By the place among kGeluLimits; the last one is for any value.
using GeluRow = void (*)(float* x, float* slope, int cells);
template <bool kWithSlope>
constexpr GeluRow kGeluRows[kGeluRanges] = {
    gelu_row<6, kWithSlope>,  gelu_row<7, kWithSlope>,  gelu_row<8, kWithSlope>,
    gelu_row<9, kWithSlope>,  gelu_row<10, kWithSlope>, gelu_row<11, kWithSlope>,
    gelu_row<12, kWithSlope>, gelu_row<13, kWithSlope>, gelu_row<0, kWithSlope>};

/// x [rows][stride] = GELU(x), by each row's range.
inline void gelu(float* x, int rows, int stride, int cells, const std::uint8_t* range) {
  for (int row = 0; row < rows; ++row) kGeluRows<false>[range[row]](x + row * stride, nullptr, cells);
}
/// meanwhile(row): what is to be done with each row.
template <typename Meanwhile>
inline void gelu_with_slope(float* x, float* slope, int rows, int stride, int cells,
                            const std::uint8_t* range, Meanwhile meanwhile) {
  for (int row = 0; row < rows; ++row) {
    meanwhile(row);
    kGeluRows<true>[range[row]](x + row * stride, slope + row * stride, cells);
  }
}

}  // namespace
}  // namespace mgrn::model::cpu
