// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/philox.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mgrn::base {

namespace {

void fill_from(std::uint64_t index, std::uint64_t key, std::uint64_t stream,
               std::span<std::uint32_t> numbers) {
  const std::array<std::uint32_t, 2> halves{static_cast<std::uint32_t>(key),
                                            static_cast<std::uint32_t>(key >> 32)};
  for (std::size_t at = 0; at < numbers.size(); at += 4, ++index) {
    const PhiloxBlock block =
        philox4x32({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                    static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(stream >> 32)},
                   halves);
    for (std::size_t i = 0; i < 4 && at + i < numbers.size(); ++i) {
      numbers[at + i] = block[i];
    }
  }
}

#if defined(__x86_64__)

// Four blocks at a time, a number in the lower half of each 64-bit lane; the upper halves hold what the
// multiplication ignores. Returns how many numbers were written, a multiple of 16.
__attribute__((target("avx2"))) std::size_t fill_four_blocks(std::uint64_t first_block, std::uint64_t key,
                                                             std::uint64_t stream,
                                                             std::span<std::uint32_t> numbers) {
  const __m256i factor0 = _mm256_set1_epi64x(0xD2511F53);
  const __m256i factor1 = _mm256_set1_epi64x(0xCD9E8D57);
  const __m256i low_half = _mm256_set1_epi64x(0xFFFFFFFF);
  const auto spread = [&](std::uint64_t value) __attribute__((target("avx2"))) {
    return _mm256_set1_epi64x(static_cast<long long>(value));
  };
  const __m256i stream_low = spread(stream & 0xFFFFFFFFu);
  const __m256i stream_high = spread(stream >> 32);
  __m256i index = _mm256_add_epi64(spread(first_block), _mm256_set_epi64x(3, 2, 1, 0));
  std::size_t at = 0;
  for (; at + 16 <= numbers.size(); at += 16) {
    __m256i c0 = index;
    __m256i c1 = _mm256_srli_epi64(index, 32);
    __m256i c2 = stream_low;
    __m256i c3 = stream_high;
    auto key0 = static_cast<std::uint32_t>(key);
    auto key1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const __m256i product0 = _mm256_mul_epu32(c0, factor0);
      const __m256i product1 = _mm256_mul_epu32(c2, factor1);
      c0 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(product1, 32), c1), spread(key0));
      c2 = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(product0, 32), c3), spread(key1));
      c1 = product1;
      c3 = product0;
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    const __m256i first = _mm256_or_si256(_mm256_and_si256(c0, low_half), _mm256_slli_epi64(c1, 32));
    const __m256i second = _mm256_or_si256(_mm256_and_si256(c2, low_half), _mm256_slli_epi64(c3, 32));
    const __m256i even = _mm256_unpacklo_epi64(first, second);  // blocks 0 and 2
    const __m256i odd = _mm256_unpackhi_epi64(first, second);   // blocks 1 and 3
    auto* out = reinterpret_cast<__m256i*>(numbers.data() + at);
    _mm256_storeu_si256(out, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(even, odd, 0x31));
    index = _mm256_add_epi64(index, spread(4));
  }
  return at;
}

#endif

}  // namespace

void philox_fill(std::uint64_t key, std::uint64_t stream, std::span<std::uint32_t> numbers,
                 std::uint64_t first_block) {
  std::size_t done = 0;
#if defined(__x86_64__)
  static const bool wide = __builtin_cpu_supports("avx2");
  if (wide) {
    done = fill_four_blocks(first_block, key, stream, numbers);
  }
#endif
  fill_from(first_block + done / 4, key, stream, numbers.subspan(done));
}

void BufferedPhiloxStream::refill() {
  philox_fill(key_, stream_, numbers_, next_block_);
  next_block_ += numbers_.size() / 4;
  used_ = 0;
}

}  // namespace mgrn::base
