// SPDX-License-Identifier: Apache-2.0
// Vectors of the instruction set that the including file is compiled for. Everything here has internal
// linkage and calls nothing from the standard library: a weak symbol of a file compiled for AVX2 could
// otherwise replace the baseline's at link time and fault on an older processor.
#pragma once

#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define MGRN_INLINE inline __attribute__((always_inline))
/// Loops that take all registers: what surrounds them must stay out.
#define MGRN_APART __attribute__((noinline))

namespace mgrn::model::cpu {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__) && defined(__FMA__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
constexpr int kVectorBytes = kLanes * 4;

// g++ lets vectors alias their elements, and no more: what points elsewhere need not be read again after a
// store.
typedef float Vector __attribute__((vector_size(kVectorBytes)));
typedef double Doubles __attribute__((vector_size(kVectorBytes)));
typedef std::uint64_t Longs __attribute__((vector_size(kVectorBytes), may_alias, aligned(8)));
typedef float Quad __attribute__((vector_size(16), may_alias));
typedef std::int32_t Integers __attribute__((vector_size(kVectorBytes)));
typedef float LooseVector __attribute__((vector_size(kVectorBytes), aligned(4)));

inline Vector load(const float* from) {
  return *reinterpret_cast<const Vector*>(from);
}
inline void store(float* to, Vector value) {
  *reinterpret_cast<Vector*>(to) = value;
}
/// The same for a value that several operations use: the compiler would repeat the load in each of them, and
/// two loads are all that a processor does in a cycle.
inline Vector load_once(const float* from) {
  Vector value = load(from);
#if defined(__AVX512F__)
  asm("" : "+v"(value));
#elif defined(__x86_64__)
  asm("" : "+x"(value));
#endif
  return value;
}
inline Vector load_loose(const float* from) {
  return *reinterpret_cast<const LooseVector*>(from);
}
inline void store_loose(float* to, Vector value) {
  *reinterpret_cast<LooseVector*>(to) = value;
}

inline Vector splat(float value) {
#if defined(__AVX512F__)
  return _mm512_set1_ps(value);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_set1_ps(value);
#else
  return Vector{value, value, value, value};
#endif
}

/// a b + c; one rounding where the instruction set has it.
inline Vector fma(Vector a, Vector b, Vector c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

inline float fma(float a, float b, float c) {
#if defined(__FMA__)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

// A NaN in `value` stays: a gradient that went wrong must be seen as such by the reduction. The instructions
// return their second operand where either is NaN.
inline Vector at_least(Vector value, Vector bound) {
#if defined(__AVX512F__)
  return _mm512_maskz_max_ps(static_cast<__mmask16>(-1), bound, value);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_max_ps(bound, value);
#elif defined(__x86_64__)
  return _mm_max_ps(bound, value);
#else
  return value < bound ? bound : value;
#endif
}
inline Vector at_most(Vector value, Vector bound) {
#if defined(__AVX512F__)
  return _mm512_maskz_min_ps(static_cast<__mmask16>(-1), bound, value);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_min_ps(bound, value);
#elif defined(__x86_64__)
  return _mm_min_ps(bound, value);
#else
  return value > bound ? bound : value;
#endif
}

inline Vector absolute(Vector value) {
  return reinterpret_cast<Vector>(reinterpret_cast<Integers>(value) & 0x7FFFFFFF);
}

#if defined(__AVX512F__)
/// magnitude >= 0 (or about 0) with the sign bit of `sign` flipped in.
inline Vector with_sign_of(Vector magnitude, Vector sign) {
  return reinterpret_cast<Vector>(reinterpret_cast<Integers>(magnitude) ^
                                  (reinterpret_cast<Integers>(sign) & INT32_MIN));
}

/// table[index modulo 16] of each lane.
inline Vector pick(const float* table, Integers index) {
  return _mm512_maskz_permutexvar_ps(static_cast<__mmask16>(-1), reinterpret_cast<__m512i>(index),
                                     load(table));
}
#endif

inline Vector square_root(Vector value) {
#if defined(__AVX512F__)
  return _mm512_maskz_sqrt_ps(static_cast<__mmask16>(-1), value);  // g++ 12 warns of the plain one
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_sqrt_ps(value);
#else
  for (int lane = 0; lane < kLanes; ++lane) value[lane] = __builtin_sqrtf(value[lane]);
  return value;
#endif
}

/// The first and the second half of the lanes as doubles.
inline Doubles first_half(Vector value) {
#if defined(__AVX512F__)
  return __builtin_convertvector(__builtin_shufflevector(value, value, 0, 1, 2, 3, 4, 5, 6, 7), Doubles);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_cvtps_pd(_mm256_castps256_ps128(value));
#else
  return Doubles{value[0], value[1]};
#endif
}
inline Doubles second_half(Vector value) {
#if defined(__AVX512F__)
  return __builtin_convertvector(__builtin_shufflevector(value, value, 8, 9, 10, 11, 12, 13, 14, 15),
                                 Doubles);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_cvtps_pd(_mm256_extractf128_ps(value, 1));
#else
  return Doubles{value[2], value[3]};
#endif
}

inline Doubles fma(Doubles a, Doubles b, Doubles c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_pd(a, b, c);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_fmadd_pd(a, b, c);
#else
  return a * b + c;
#endif
}

/// The lanes of a, then of b, with an even number; the odd ones.
inline Vector even_lanes(Vector a, Vector b) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
#elif defined(__AVX2__) && defined(__FMA__)
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
#else
  return __builtin_shufflevector(a, b, 0, 2, 4, 6);
#endif
}
inline Vector odd_lanes(Vector a, Vector b) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif defined(__AVX2__) && defined(__FMA__)
  return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
#else
  return __builtin_shufflevector(a, b, 1, 3, 5, 7);
#endif
}

/// a0 b0 a1 b1 ... of the first half of the lanes; of the second.
inline Vector interleave_low(Vector a, Vector b) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#elif defined(__AVX2__) && defined(__FMA__)
  return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#else
  return __builtin_shufflevector(a, b, 0, 4, 1, 5);
#endif
}
inline Vector interleave_high(Vector a, Vector b) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif defined(__AVX2__) && defined(__FMA__)
  return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
  return __builtin_shufflevector(a, b, 2, 6, 3, 7);
#endif
}

/// rows: kLanes rows of four values -> a vector of each column.
inline void columns_of_rows(const float* rows, Vector (&column)[4]) {
  const Vector a = load_loose(rows), b = load_loose(rows + kLanes);
  const Vector c = load_loose(rows + 2 * kLanes), d = load_loose(rows + 3 * kLanes);
  const Vector even_ab = even_lanes(a, b), even_cd = even_lanes(c, d);
  const Vector odd_ab = odd_lanes(a, b), odd_cd = odd_lanes(c, d);
  column[0] = even_lanes(even_ab, even_cd);
  column[1] = even_lanes(odd_ab, odd_cd);
  column[2] = odd_lanes(even_ab, even_cd);
  column[3] = odd_lanes(odd_ab, odd_cd);
}

/// The way back.
inline void rows_of_columns(const Vector (&column)[4], float* rows) {
  const Vector even_low = interleave_low(column[0], column[2]);
  const Vector even_high = interleave_high(column[0], column[2]);
  const Vector odd_low = interleave_low(column[1], column[3]);
  const Vector odd_high = interleave_high(column[1], column[3]);
  store_loose(rows, interleave_low(even_low, odd_low));
  store_loose(rows + kLanes, interleave_high(even_low, odd_low));
  store_loose(rows + 2 * kLanes, interleave_low(even_high, odd_high));
  store_loose(rows + 3 * kLanes, interleave_high(even_high, odd_high));
}

/// Quarters of 4 lanes: the lanes' sum, smallest or largest of each place, by halving.
template <typename Combine>
inline Quad fold(Vector value, Combine combine) {
#if defined(__AVX512F__)
  const auto eight = combine(__builtin_shufflevector(value, value, 0, 1, 2, 3, 4, 5, 6, 7),
                             __builtin_shufflevector(value, value, 8, 9, 10, 11, 12, 13, 14, 15));
  return combine(__builtin_shufflevector(eight, eight, 0, 1, 2, 3),
                 __builtin_shufflevector(eight, eight, 4, 5, 6, 7));
#elif defined(__AVX2__) && defined(__FMA__)
  return combine(__builtin_shufflevector(value, value, 0, 1, 2, 3),
                 __builtin_shufflevector(value, value, 4, 5, 6, 7));
#else
  (void)combine;
  return value;
#endif
}

/// The lanes' sum, halving: a fixed order.
inline float sum(Vector value) {
  const Quad four = fold(value, [](auto a, auto b) { return a + b; });
  return (four[0] + four[2]) + (four[1] + four[3]);
}

/// The sums of four vectors at once, which costs little more than that of one; the order of sum().
inline Quad sums(Vector a, Vector b, Vector c, Vector d) {
  const auto add = [](auto x, auto y) { return x + y; };
  const Quad w = fold(a, add), x = fold(b, add), y = fold(c, add), z = fold(d, add);
  const Quad wx = __builtin_shufflevector(w, x, 0, 4, 1, 5) + __builtin_shufflevector(w, x, 2, 6, 3, 7);
  const Quad yz = __builtin_shufflevector(y, z, 0, 4, 1, 5) + __builtin_shufflevector(y, z, 2, 6, 3, 7);
  return __builtin_shufflevector(wx, yz, 0, 1, 4, 5) + __builtin_shufflevector(wx, yz, 2, 3, 6, 7);
}

inline float largest(Vector value) {
  const Quad four = fold(value, [](auto a, auto b) { return a < b ? b : a; });
  float result = four[0];
  for (int lane = 1; lane < 4; ++lane) result = four[lane] > result ? four[lane] : result;
  return result;
}

inline float smallest(Vector value) {
  const Quad four = fold(value, [](auto a, auto b) { return b < a ? b : a; });
  float result = four[0];
  for (int lane = 1; lane < 4; ++lane) result = four[lane] < result ? four[lane] : result;
  return result;
}

#if defined(__AVX2__) && !defined(__AVX512F__)
/// Lane permutations for compress() and expand(), by mask.
struct LaneMoves {
  alignas(8) std::uint8_t compress[256][8];
  alignas(8) std::uint8_t expand[256][8];
};
constexpr LaneMoves kLaneMoves = [] {
  LaneMoves moves{};
  for (int mask = 0; mask < 256; ++mask) {
    std::uint8_t next = 0;
    for (std::uint8_t lane = 0; lane < 8; ++lane) {
      moves.expand[mask][lane] = next;
      if ((mask >> lane & 1) != 0) moves.compress[mask][next++] = lane;
    }
  }
  return moves;
}();
inline Vector move_lanes(Vector value, const std::uint8_t (&places)[8]) {
  return _mm256_permutevar8x32_ps(
      value, _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(&places))));
}
#endif

/// Bit `lane` of each lane that compared true.
inline unsigned bits(Integers truth) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask(reinterpret_cast<__m512i>(truth), reinterpret_cast<__m512i>(truth));
#elif defined(__AVX2__) && defined(__FMA__)
  return static_cast<unsigned>(_mm256_movemask_ps(reinterpret_cast<__m256>(truth)));
#else
  unsigned mask = 0;
  for (int lane = 0; lane < kLanes; ++lane) mask |= (truth[lane] != 0 ? 1u : 0u) << lane;
  return mask;
#endif
}

/// The lanes of `value` whose bit is set, moved to the front in their order; the rest holds anything.
inline Vector compress(Vector value, unsigned mask) {
#if defined(__AVX512F__)
  return _mm512_maskz_compress_ps(static_cast<__mmask16>(mask), value);
#elif defined(__AVX2__) && defined(__FMA__)
  return move_lanes(value, kLaneMoves.compress[mask]);
#else
  Vector result = value;
  int next = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) != 0) result[next++] = value[lane];
  }
  return result;
#endif
}

/// The inverse: the first lanes of `packed`, in their order, to the lanes that compared true; others keep
/// `rest`. mask: bits(truth).
inline Vector expand(Vector packed, Integers truth, unsigned mask, Vector rest) {
#if defined(__AVX512F__)
  (void)truth;
  return _mm512_mask_expand_ps(rest, static_cast<__mmask16>(mask), packed);
#elif defined(__AVX2__) && defined(__FMA__)
  return _mm256_blendv_ps(rest, move_lanes(packed, kLaneMoves.expand[mask]), reinterpret_cast<__m256>(truth));
#else
  (void)truth;
  int next = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) != 0) rest[lane] = packed[next++];
  }
  return rest;
#endif
}

}  // namespace
}  // namespace mgrn::model::cpu
