// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/model/fixed_point.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <vector>

#include "model/fixed_point_paths.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mgrn::model {

namespace {

constexpr double kMagic = 0x1.8p52;
constexpr std::uint32_t kMagnitude = 0x7fffffffu;
static_assert(std::bit_cast<std::uint64_t>(kMagic) == kFixedPointBias);

// A float times a power of two is exact in double, so the product and the addition round once between them:
// no fused multiply-add is needed for the bits that one would give, and every instruction set agrees.
std::uint64_t fixed_point_bits(float value, double factor) {
  return std::bit_cast<std::uint64_t>(static_cast<double>(value) * factor + kMagic);
}

#if defined(__x86_64__)

bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}

__attribute__((target("avx2"))) std::uint32_t accumulate_avx2(const float* values, std::size_t count,
                                                              double factor, std::uint64_t* sum) {
  const __m256d factors = _mm256_set1_pd(factor);
  const __m256d magic = _mm256_set1_pd(kMagic);
  const __m256i magnitude = _mm256_set1_epi32(static_cast<int>(kMagnitude));
  __m256i largest = _mm256_setzero_si256();
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256 eight = _mm256_loadu_ps(values + i);
    largest = _mm256_max_epu32(largest, _mm256_and_si256(_mm256_castps_si256(eight), magnitude));
    const __m128 halves[2] = {_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1)};
    for (std::size_t half = 0; half < 2; ++half) {
      const __m256d wide = _mm256_cvtps_pd(halves[half]);
      const __m256i bits = _mm256_castpd_si256(_mm256_add_pd(_mm256_mul_pd(wide, factors), magic));
      auto* place = reinterpret_cast<__m256i*>(sum + i + 4 * half);
      _mm256_storeu_si256(place, _mm256_add_epi64(_mm256_loadu_si256(place), bits));
    }
  }
  alignas(32) std::uint32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), largest);
  std::uint32_t most = *std::max_element(lanes, lanes + 8);
  for (; i < count; ++i) {
    most = std::max(most, std::bit_cast<std::uint32_t>(values[i]) & kMagnitude);
    sum[i] += fixed_point_bits(values[i], factor);
  }
  return most;
}

#endif

/// From values[i] on.
void to_float_from(std::size_t i, ExactSums sums, std::size_t first, std::uint64_t bias, double factor,
                   std::span<float> values) {
  for (; i < values.size(); ++i) {
    std::uint64_t whole = 0 - bias;
    for (const std::uint64_t* sum : sums) {
      whole += sum[first + i];
    }
    values[i] = static_cast<float>(static_cast<double>(static_cast<std::int64_t>(whole)) * factor);
  }
}

#if defined(__x86_64__)

// int64 to double in two exact halves and one rounding: the high 32 bits ride on 2^84 (with 2^63 for the
// sign), the low 32 on 2^52.
__attribute__((target("avx2"))) void to_float_avx2(ExactSums sums, std::size_t first, std::uint64_t bias,
                                                   double factor, std::span<float> values) {
  const __m256i biases = _mm256_set1_epi64x(static_cast<long long>(bias));
  const __m256i low_magic = _mm256_set1_epi64x(0x4330000000000000);
  const __m256i high_magic = _mm256_set1_epi64x(0x4530000080000000);
  const __m256d both_magic = _mm256_castsi256_pd(_mm256_set1_epi64x(0x4530000080100000));
  const __m256d factors = _mm256_set1_pd(factor);
  std::size_t i = 0;
  for (; i + 4 <= values.size(); i += 4) {
    __m256i whole = _mm256_sub_epi64(_mm256_setzero_si256(), biases);
    for (const std::uint64_t* sum : sums) {
      whole = _mm256_add_epi64(whole, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sum + first + i)));
    }
    const __m256d low = _mm256_castsi256_pd(_mm256_blend_epi32(low_magic, whole, 0x55));
    const __m256d high = _mm256_castsi256_pd(_mm256_xor_si256(_mm256_srli_epi64(whole, 32), high_magic));
    const __m256d converted = _mm256_add_pd(_mm256_sub_pd(high, both_magic), low);
    _mm_storeu_ps(values.data() + i, _mm256_cvtpd_ps(_mm256_mul_pd(converted, factors)));
  }
  to_float_from(i, sums, first, bias, factor, values);
}

// AVX-512 has the conversion itself. In vector types, since GCC 12 warns of its own AVX-512 headers.
__attribute__((target("avx512f,avx512dq"))) void to_float_avx512(ExactSums sums, std::size_t first,
                                                                 std::uint64_t bias, double factor,
                                                                 std::span<float> values) {
  using Words [[gnu::vector_size(64), gnu::aligned(8), gnu::may_alias]] = std::uint64_t;
  using Integers [[gnu::vector_size(64)]] = std::int64_t;
  using Doubles [[gnu::vector_size(64)]] = double;
  using Floats [[gnu::vector_size(32), gnu::aligned(4), gnu::may_alias]] = float;
  std::size_t i = 0;
  for (; i + 8 <= values.size(); i += 8) {
    Words whole = Words{} - bias;
    for (const std::uint64_t* sum : sums) {
      whole += *reinterpret_cast<const Words*>(sum + first + i);
    }
    const Doubles converted = __builtin_convertvector(reinterpret_cast<Integers>(whole), Doubles);
    *reinterpret_cast<Floats*>(values.data() + i) = __builtin_convertvector(converted * factor, Floats);
  }
  to_float_from(i, sums, first, bias, factor, values);
}

#endif

}  // namespace

std::uint32_t fixed_point_limit(int scale) {
  return std::bit_cast<std::uint32_t>(static_cast<float>(std::ldexp(1.0, 50 - scale)));
}

std::uint32_t add_fixed_point_scalar(std::span<const float> values, int scale, std::span<std::uint64_t> sum) {
  const double factor = std::ldexp(1.0, scale);
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(values[i]) & kMagnitude);
    sum[i] += fixed_point_bits(values[i], factor);
  }
  return largest;
}

std::uint32_t add_fixed_point(std::span<const float> values, int scale, std::span<std::uint64_t> sum) {
#if defined(__x86_64__)
  if (has_avx2()) {
    return accumulate_avx2(values.data(), values.size(), std::ldexp(1.0, scale), sum.data());
  }
#endif
  return add_fixed_point_scalar(values, scale, sum);
}

void to_float_scalar(std::span<const std::uint64_t> sum, std::uint64_t additions, int scale, double divisor,
                     std::span<float> values) {
  const std::uint64_t* const only = sum.data();
  to_float_from(0, {&only, 1}, 0, additions * kFixedPointBias, std::ldexp(1.0, -scale) / divisor, values);
}

void to_float(std::span<const std::uint64_t> sum, std::uint64_t additions, int scale, double divisor,
              std::span<float> values) {
  const std::uint64_t* const only = sum.data();
  to_float(ExactSums{&only, 1}, 0, additions, scale, divisor, values);
}

void to_float(std::span<const std::uint64_t* const> sums, std::size_t first, std::uint64_t additions,
              int scale, double divisor, std::span<float> values) {
  static const ToFloat fastest = to_float_paths().back().convert;
  fastest(sums, first, additions * kFixedPointBias, std::ldexp(1.0, -scale) / divisor, values);
}

std::span<const ToFloatPath> to_float_paths() {
  static const std::vector<ToFloatPath> paths = [] {
    const ToFloat baseline = [](ExactSums sums, std::size_t first, std::uint64_t bias, double factor,
                                std::span<float> values) {
      to_float_from(0, sums, first, bias, factor, values);
    };
    std::vector<ToFloatPath> found{{"baseline", baseline}};
#if defined(__x86_64__)
    if (has_avx2()) {
      found.push_back({"avx2", to_float_avx2});
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) {
      found.push_back({"avx512", to_float_avx512});
    }
#endif
    return found;
  }();
  return paths;
}

}  // namespace mgrn::model
