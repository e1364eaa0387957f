// SPDX-License-Identifier: Apache-2.0
// What lets a kernel's body compile for a GPU (nvcc) and for the processor (tests): function attributes and
// elementary functions that round alike on both. Both compilers must be told to contract nothing
// (--fmad=false, -ffp-contract=off): multiply-adds are written where they are wanted.
#pragma once

#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define MGRN_DEVICE __device__ __forceinline__
#define MGRN_BOTH __host__ __device__ constexpr
#define MGRN_UNROLL _Pragma("unroll")
#define MGRN_NO_UNROLL _Pragma("unroll 1")
#else
#define MGRN_DEVICE inline
#define MGRN_BOTH constexpr
#define MGRN_UNROLL _Pragma("GCC unroll 64")
#define MGRN_NO_UNROLL _Pragma("GCC unroll 1")
#endif

namespace mgrn::model::cuda {

MGRN_DEVICE float fma(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
MGRN_DEVICE float larger(float a, float b) {
  return a < b ? b : a;
}
MGRN_DEVICE float absolute(float x) {
  return x < 0.0f ? -x : x;
}

/// exp(x) for x <= 0, within 2 ulp; below -87.3 it stays at exp(-87.3), about 1e-38. NaN stays NaN. The
/// coefficients are those of cpu/simd_math.hpp.
MGRN_DEVICE float exponential(float x) {
  x = x < -87.3f ? -87.3f : x;
  // Adding 1.5 * 2^23 leaves round(x / ln 2) in the low bits of the sum.
  const float shifted = fma(x, 1.44269504f, 12582912.0f);
  const float power = shifted - 12582912.0f;
  float r = fma(power, -0.693359375f, x);
  r = fma(power, 2.12194440e-4f, r);
  float q = fma(0.00138143206f, r, 0.00836885162f);
  q = fma(q, r, 0.0416684002f);
  q = fma(q, r, 0.166665196f);
  q = fma(q, r, 0.49999994f);
  const float y = fma(r * r, q, r) + 1.0f;
  const std::uint32_t exponent = (__builtin_bit_cast(std::uint32_t, shifted) << 23) + (127u << 23);
  return y * __builtin_bit_cast(float, exponent);
}

struct Gelu {
  float value;
  float derivative;
};

/// x Phi(x) and Phi(x) + x phi(x), errors below 2e-7 of max(1, |x|); as cpu/simd_math.hpp.
MGRN_DEVICE Gelu gelu(float x) {
  const float size = absolute(x);
  const float t = size > 13.2f ? 13.2f : size;
  const float density = exponential(t * t * -0.5f);
  const float u = 1.0f / fma(t, 0.25f, 1.0f);
  float p = fma(0.0346917696f, u, -0.200205907f);
  p = fma(p, u, 0.40444544f);
  p = fma(p, u, -0.346047223f);
  p = fma(p, u, 0.314959317f);
  p = fma(p, u, -0.026028743f);
  p = fma(p, u, 0.123535104f);
  p = fma(p, u, 0.0943932533f);
  p = fma(p, u, 0.10028135f);
  p = fma(p, u, -2.43613231e-05f);
  const float tail = density * p;
  const float distribution = x > 0.0f ? 1.0f - tail : tail;
  return {x * distribution, fma(x * 0.398942280f, density, distribution)};
}

}  // namespace mgrn::model::cuda
