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
#define MGRN_UNROLL_BY_TWO _Pragma("unroll 2")
#else
#define MGRN_DEVICE inline
#define MGRN_BOTH constexpr
#define MGRN_UNROLL _Pragma("GCC unroll 64")
#define MGRN_NO_UNROLL _Pragma("GCC unroll 1")
#define MGRN_UNROLL_BY_TWO _Pragma("GCC unroll 2")
#endif

namespace mgrn::model::cuda {

MGRN_DEVICE float fma(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
/// Correctly rounded, whatever the compiler is told of speed.
MGRN_DEVICE float square_root(float x) {
#if defined(__CUDACC__)
  return __fsqrt_rn(x);
#else
  return __builtin_sqrtf(x);
#endif
}
MGRN_DEVICE float quotient(float a, float b) {
#if defined(__CUDACC__)
  return __fdiv_rn(a, b);
#else
  return a / b;
#endif
}
/// 1 / sqrt(x) within 2 ulp, for normal numbers above zero.
MGRN_DEVICE float reciprocal_root(float x) {
#if defined(__CUDACC__)
  return rsqrtf(x);
#else
  return 1.0f / __builtin_sqrtf(x);
#endif
}
/// Four floats at a multiple of 16 bytes, which a GPU reads and writes at once.
struct alignas(16) Four {
  float at[4];
};
MGRN_DEVICE Four four(const float* place) {
  Four values{};
  __builtin_memcpy(&values, __builtin_assume_aligned(place, 16), sizeof values);
  return values;
}
MGRN_DEVICE float larger(float a, float b) {
  return a < b ? b : a;
}
MGRN_DEVICE float absolute(float x) {
  return x < 0.0f ? -x : x;
}
MGRN_DEVICE std::uint32_t count_bits(std::uint64_t word) {
#if defined(__CUDACC__)
  return static_cast<std::uint32_t>(__popcll(word));
#else
  return static_cast<std::uint32_t>(__builtin_popcountll(word));
#endif
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

/// Phi(x) of the standard normal distribution, errors below 2.5e-7; as cpu/simd_math.hpp.
MGRN_DEVICE float normal_distribution(float x) {
  x = x < -5.2f ? -5.2f : x;
  x = x > 5.2f ? 5.2f : x;
  const float y = fma(x * x, 2.0f / 27.04f, -1.0f);
  float p = fma(-0.000481276831f, y, 0.00126851129f);
  p = fma(p, y, -0.00122149463f);
  p = fma(p, y, 0.00180012174f);
  p = fma(p, y, -0.0047890381f);
  p = fma(p, y, 0.00855996832f);
  p = fma(p, y, -0.0125051215f);
  p = fma(p, y, 0.0179547872f);
  p = fma(p, y, -0.0247236285f);
  p = fma(p, y, 0.0319899581f);
  p = fma(p, y, -0.0399298184f);
  p = fma(p, y, 0.0500245206f);
  p = fma(p, y, -0.0677436665f);
  p = fma(p, y, 0.135949999f);
  return fma(p, x, 0.5f);
}

/// x Phi(x), the exact (erf) form of GELU.
MGRN_DEVICE float gelu(float x) {
  return x * normal_distribution(x);
}

struct GeluWithSlope {
  float value;
  float slope;  ///< Phi(x) + x phi(x)
};

MGRN_DEVICE GeluWithSlope gelu_with_slope(float x) {
  const float distribution = normal_distribution(x);
  const float density = exponential(x * x * -0.5f);
  return {x * distribution, fma(x * 0.398942280f, density, distribution)};
}

}  // namespace mgrn::model::cuda
