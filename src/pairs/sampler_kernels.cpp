// SPDX-License-Identifier: Apache-2.0
#include "sampler_kernels.hpp"

#include <algorithm>
#include <array>
#include <limits>

#if defined(__x86_64__)
// GCC 12 warns of the deliberately undefined vectors of its own header (GCC bug 105593, mended in 13).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace mgrn::pairs {

namespace {

// Each loop is written once over a set of bit operations and compiled once per instruction set: a function
// that must be inlined takes on the target of its caller.
#define MGRN_INLINE __attribute__((always_inline)) inline

struct PortableBits {
  /// The lowest `count` bits of a word, all of them from 64 on.
  MGRN_INLINE static std::uint64_t low(std::uint64_t word, std::uint32_t count) {
    return count >= 64 ? word : word & ((std::uint64_t{1} << count) - 1);
  }
  /// Place of the bit that has `rank` set bits below it.
  MGRN_INLINE static std::uint32_t select(std::uint64_t word, std::uint32_t rank) {
    for (; rank > 0; --rank) {
      word &= word - 1;
    }
    return static_cast<std::uint32_t>(__builtin_ctzll(word));
  }
};

MGRN_INLINE std::uint32_t count_bits(std::uint64_t word) {
  return static_cast<std::uint32_t>(__builtin_popcountll(word));
}

struct InBoth {
  MGRN_INLINE static std::uint64_t of(std::uint64_t a, std::uint64_t b) { return a & b; }
};
struct InEither {
  MGRN_INLINE static std::uint64_t of(std::uint64_t a, std::uint64_t b) { return a | b; }
};

template <typename Combined>
MGRN_INLINE std::uint32_t count_in_block(const CellBlock& a, const CellBlock& b) {
  return count_bits(Combined::of(a.words[0], b.words[0]) & kNoHeader) +
         count_bits(Combined::of(a.words[1], b.words[1])) + count_bits(Combined::of(a.words[2], b.words[2])) +
         count_bits(Combined::of(a.words[3], b.words[3]));
}

template <typename Combined>
MGRN_INLINE std::uint32_t count_of(const CellBlock* a, const CellBlock* b, std::size_t blocks) {
  std::uint32_t count = 0;
  for (std::size_t block = 0; block < blocks; ++block) {
    count += count_in_block<Combined>(a[block], b[block]);
  }
  return count;
}

template <typename Combined>
MGRN_INLINE std::uint32_t running_counts_of(const CellBlock* a, const CellBlock* b, std::size_t blocks,
                                            std::uint32_t* before) {
  std::uint32_t count = 0;
  for (std::size_t block = 0; block < blocks; ++block) {
    before[block] = count;
    count += count_in_block<Combined>(a[block], b[block]);
  }
  return count;
}

template <typename Combined>
MGRN_INLINE void list_of(const CellBlock* a, const CellBlock* b, std::size_t blocks, std::uint32_t* places) {
  for (std::size_t block = 0; block < blocks; ++block) {
    for (std::uint32_t word = 0; word < 4; ++word) {
      const auto first = static_cast<std::uint32_t>(block * 256) + word * 64;
      const std::uint64_t cells = Combined::of(a[block].words[word], b[block].words[word]);
      for (std::uint64_t bits = word == 0 ? cells & kNoHeader : cells; bits != 0; bits &= bits - 1) {
        *places++ = first + static_cast<std::uint32_t>(__builtin_ctzll(bits));
      }
    }
  }
}

/// Of 16 ascending numbers, how many are at most `rank`; at least one is.
struct PortableSearch {
  MGRN_INLINE static std::uint32_t at_most(const std::uint32_t* sixteen, std::uint32_t rank) {
    std::uint32_t found = 0;
    for (int i = 0; i < 16; ++i) {
      found += static_cast<std::uint32_t>(sixteen[i] <= rank);
    }
    return found;
  }
};

/// The last block with at most `rank` cells before it. A comparison with 16 numbers at once instead of
/// a binary search, whose every step depends on the last.
template <typename Search>
MGRN_INLINE std::size_t block_of(const SelectIndex& index, std::uint32_t rank) {
  std::size_t top = 0;
  for (std::size_t at = 0; at < index.every256.size(); at += 16) {
    top += Search::at_most(index.every256.data() + at, rank);
  }
  const std::size_t middle = (top - 1) * 16;
  const std::size_t fine = (middle + Search::at_most(index.every16.data() + middle, rank) - 1) * 16;
  return fine + Search::at_most(index.before.data() + fine, rank) - 1;
}

template <typename Combined, typename Bits, typename Search>
MGRN_INLINE void select_of(const CellBlock* a, const CellBlock* b, const SelectIndex& index,
                           std::span<const std::uint32_t> ranks, std::uint32_t* places) {
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const std::size_t block = block_of<Search>(index, ranks[i]);
    const std::uint32_t within = ranks[i] - index.before[block];
    // Without branches: in which word the cell is nobody can predict.
    const std::uint64_t words[4] = {Combined::of(a[block].words[0], b[block].words[0]) & kNoHeader,
                                    Combined::of(a[block].words[1], b[block].words[1]),
                                    Combined::of(a[block].words[2], b[block].words[2]),
                                    Combined::of(a[block].words[3], b[block].words[3])};
    std::uint32_t below[4] = {0, count_bits(words[0]), 0, 0};
    below[2] = below[1] + count_bits(words[1]);
    below[3] = below[2] + count_bits(words[2]);
    const std::uint32_t word = static_cast<std::uint32_t>(within >= below[1]) +
                               static_cast<std::uint32_t>(within >= below[2]) +
                               static_cast<std::uint32_t>(within >= below[3]);
    places[i] =
        static_cast<std::uint32_t>(block * 256) + word * 64 + Bits::select(words[word], within - below[word]);
  }
}

/// Members of a block's later word below `bit` of the block.
template <typename Bits>
MGRN_INLINE std::uint32_t rank_in_word(const CellBlock& block, std::int32_t word, std::int32_t bit) {
  const std::int32_t bits = bit - 64 * word;
  return count_bits(Bits::low(block.words[word], static_cast<std::uint32_t>(bits < 0 ? 0 : bits)));
}

template <typename Bits>
MGRN_INLINE std::uint32_t rank_of(const CellBlock& block, std::uint32_t bit) {
  const auto place = static_cast<std::int32_t>(bit);
  return members_before(block) + count_bits(Bits::low(block.words[0], bit) & kNoHeader) +
         rank_in_word<Bits>(block, 1, place) + rank_in_word<Bits>(block, 2, place) +
         rank_in_word<Bits>(block, 3, place);
}

template <typename Bits>
MGRN_INLINE void ranks_of(const CellBlock* cells, std::span<const std::uint32_t> places,
                          std::uint32_t* index) {
  for (std::size_t i = 0; i < places.size(); ++i) {
    index[i] = rank_of<Bits>(cells[places[i] >> 8], places[i] & 255);
  }
}

template <typename Bits>
MGRN_INLINE void rank_both_of(const CellBlock* a, const CellBlock* b, std::size_t blocks,
                              std::uint32_t* a_index, std::uint32_t* b_index) {
  for (std::size_t block = 0; block < blocks; ++block) {
    for (std::uint32_t word = 0; word < 4; ++word) {
      const std::uint64_t cells = a[block].words[word] & b[block].words[word];
      for (std::uint64_t bits = word == 0 ? cells & kNoHeader : cells; bits != 0; bits &= bits - 1) {
        const std::uint32_t bit = word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(bits));
        *a_index++ = rank_of<Bits>(a[block], bit);
        *b_index++ = rank_of<Bits>(b[block], bit);
      }
    }
  }
}

template <typename Combined>
constexpr CombinedCellsKernels kPortableCells{.count = count_of<Combined>,
                                              .running_counts = running_counts_of<Combined>,
                                              .list = list_of<Combined>,
                                              .select = select_of<Combined, PortableBits, PortableSearch>};

constexpr SamplerKernels kPortable{.name = "portable",
                                   .both = kPortableCells<InBoth>,
                                   .either = kPortableCells<InEither>,
                                   .rank = ranks_of<PortableBits>,
                                   .rank_both = rank_both_of<PortableBits>};

#if defined(__x86_64__)

#define MGRN_BMI2 __attribute__((target("avx2,popcnt,bmi,bmi2")))

// Not forced to be inlined: that would happen in the loops before they are in a function of this target.
struct Bmi2Bits {
  MGRN_BMI2 static inline std::uint64_t low(std::uint64_t word, std::uint32_t count) {
    return _bzhi_u64(word, count);
  }
  MGRN_BMI2 static inline std::uint32_t select(std::uint64_t word, std::uint32_t rank) {
    return static_cast<std::uint32_t>(_tzcnt_u64(_pdep_u64(std::uint64_t{1} << rank, word)));
  }
};

template <typename Combined>
MGRN_BMI2 std::uint32_t count_bmi2(const CellBlock* a, const CellBlock* b, std::size_t blocks) {
  return count_of<Combined>(a, b, blocks);
}
template <typename Combined>
MGRN_BMI2 std::uint32_t running_counts_bmi2(const CellBlock* a, const CellBlock* b, std::size_t blocks,
                                            std::uint32_t* before) {
  return running_counts_of<Combined>(a, b, blocks, before);
}

struct Avx2Search {
  MGRN_BMI2 static inline std::uint32_t at_most(const std::uint32_t* sixteen, std::uint32_t rank) {
    // As signed numbers: a dataset has fewer than 2^31 cells.
    const __m256i wanted = _mm256_set1_epi32(static_cast<int>(rank));
    const auto* numbers = reinterpret_cast<const __m256i*>(sixteen);
    const __m256i first = _mm256_cmpgt_epi32(_mm256_loadu_si256(numbers), wanted);
    const __m256i second = _mm256_cmpgt_epi32(_mm256_loadu_si256(numbers + 1), wanted);
    const int greater = _mm256_movemask_epi8(_mm256_packs_epi32(first, second));
    return 16 - static_cast<std::uint32_t>(_mm_popcnt_u32(static_cast<unsigned>(greater))) / 2;
  }
};

template <typename Combined>
MGRN_BMI2 void select_bmi2(const CellBlock* a, const CellBlock* b, const SelectIndex& index,
                           std::span<const std::uint32_t> ranks, std::uint32_t* places) {
  select_of<Combined, Bmi2Bits, Avx2Search>(a, b, index, ranks, places);
}

/// For each byte the places of its bits, one per byte from the lowest on.
constexpr std::array<std::uint64_t, 256> kBitPlaces = [] {
  std::array<std::uint64_t, 256> table{};
  for (std::uint64_t byte = 0; byte < 256; ++byte) {
    int found = 0;
    for (std::uint64_t bit = 0; bit < 8; ++bit) {
      if ((byte >> bit & 1) != 0) {
        table[byte] |= bit << (8 * found++);
      }
    }
  }
  return table;
}();

/// The places of the bits in the lowest `bytes` bytes, each plus `first`. Eight are written for each byte,
/// whatever is set in it: without a branch nothing is mispredicted, and the next byte's overwrite what was
/// too much.
MGRN_BMI2 inline void list_bits(std::uint64_t bits, std::uint32_t bytes, std::uint32_t first,
                                std::uint32_t*& to) {
  __m256i start = _mm256_set1_epi32(static_cast<int>(first));
  for (std::uint32_t byte = 0; byte < bytes; ++byte, bits >>= 8) {
    const auto eight = static_cast<std::uint8_t>(bits);
    const __m256i places = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(kBitPlaces[eight])));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_add_epi32(start, places));
    to += _mm_popcnt_u32(eight);
    start = _mm256_add_epi32(start, _mm256_set1_epi32(8));
  }
}

template <typename Combined>
MGRN_BMI2 void list_bmi2(const CellBlock* a, const CellBlock* b, std::size_t blocks, std::uint32_t* places) {
  for (std::size_t block = 0; block < blocks; ++block) {
    const auto first = static_cast<std::uint32_t>(block * 256);
    list_bits(Combined::of(a[block].words[0], b[block].words[0]) >> kHeaderBits, 4, first + kHeaderBits,
              places);
    for (std::uint32_t word = 1; word < 4; ++word) {
      list_bits(Combined::of(a[block].words[word], b[block].words[word]), 8, first + word * 64, places);
    }
  }
}

MGRN_BMI2 void rank_both_bmi2(const CellBlock* a, const CellBlock* b, std::size_t blocks,
                              std::uint32_t* a_index, std::uint32_t* b_index) {
  for (std::size_t block = 0; block < blocks; ++block) {
    std::uint32_t a_before = members_before(a[block]), b_before = members_before(b[block]);
    for (std::uint32_t word = 0; word < 4; ++word) {
      const std::uint64_t cells = word == 0 ? kNoHeader : ~std::uint64_t{0};
      const std::uint64_t of_a = a[block].words[word] & cells, of_b = b[block].words[word] & cells;
      const std::uint64_t both = of_a & of_b;
      const std::uint32_t bytes = word == 0 ? 4 : 8;
      // Bits of the common cells among those of one set: a rank each.
      list_bits(_pext_u64(both, of_a), bytes, a_before, a_index);
      list_bits(_pext_u64(both, of_b), bytes, b_before, b_index);
      a_before += count_bits(of_a);
      b_before += count_bits(of_b);
    }
  }
}

MGRN_BMI2 void rank_bmi2(const CellBlock* cells, std::span<const std::uint32_t> places,
                         std::uint32_t* index) {
  ranks_of<Bmi2Bits>(cells, places, index);
}

template <typename Combined>
constexpr CombinedCellsKernels kBmi2Cells{.count = count_bmi2<Combined>,
                                          .running_counts = running_counts_bmi2<Combined>,
                                          .list = list_bmi2<Combined>,
                                          .select = select_bmi2<Combined>};

constexpr SamplerKernels kBmi2{.name = "avx2",
                               .both = kBmi2Cells<InBoth>,
                               .either = kBmi2Cells<InEither>,
                               .rank = rank_bmi2,
                               .rank_both = rank_both_bmi2};

// ---- AVX-512 with population count of vectors ----------------------------------------------------------

#define MGRN_AVX512 \
  __attribute__((target("avx2,popcnt,bmi,bmi2,avx512f,avx512vl,avx512bw,avx512dq,avx512vpopcntdq")))

MGRN_AVX512 MGRN_INLINE __m512i combine(InBoth, __m512i a, __m512i b) {
  return _mm512_and_si512(a, b);
}
MGRN_AVX512 MGRN_INLINE __m512i combine(InEither, __m512i a, __m512i b) {
  return _mm512_or_si512(a, b);
}

// Cells in each of four blocks, in order.
template <typename Combined>
MGRN_AVX512 MGRN_INLINE __m256i count_in_four(const CellBlock* a, const CellBlock* b) {
  const __m512i no_header = _mm512_set_epi64(-1, -1, -1, static_cast<long long>(kNoHeader), -1, -1, -1,
                                             static_cast<long long>(kNoHeader));
  const __m512i first = _mm512_popcnt_epi64(
      _mm512_and_si512(combine(Combined(), _mm512_load_si512(a), _mm512_load_si512(b)), no_header));
  const __m512i second = _mm512_popcnt_epi64(
      _mm512_and_si512(combine(Combined(), _mm512_load_si512(a + 2), _mm512_load_si512(b + 2)), no_header));
  // Pairs of words, then pairs of pairs: blocks (0, 2 | 0, 2 | 1, 3 | 1, 3), each halved over two lanes.
  const __m512i pairs =
      _mm512_add_epi64(_mm512_unpacklo_epi64(first, second), _mm512_unpackhi_epi64(first, second));
  const __m512i sums = _mm512_add_epi64(pairs, _mm512_shuffle_i64x2(pairs, pairs, 0xB1));
  // Lanes 0, 1: blocks 0, 2; lanes 4, 5: blocks 1, 3.
  return _mm512_castsi512_si256(_mm512_permutexvar_epi64(_mm512_set_epi64(0, 0, 0, 0, 5, 1, 4, 0), sums));
}

template <typename Combined>
MGRN_AVX512 std::uint32_t count_avx512(const CellBlock* a, const CellBlock* b, std::size_t blocks) {
  const __m512i no_header = _mm512_set_epi64(-1, -1, -1, static_cast<long long>(kNoHeader), -1, -1, -1,
                                             static_cast<long long>(kNoHeader));
  __m512i sum = _mm512_setzero_si512();
  std::size_t block = 0;
  for (; block + 2 <= blocks; block += 2) {
    const __m512i cells = combine(Combined(), _mm512_load_si512(a + block), _mm512_load_si512(b + block));
    sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_and_si512(cells, no_header)));
  }
  return static_cast<std::uint32_t>(_mm512_reduce_add_epi64(sum)) +
         count_of<Combined>(a + block, b + block, blocks - block);
}

template <typename Combined>
MGRN_AVX512 std::uint32_t running_counts_avx512(const CellBlock* a, const CellBlock* b, std::size_t blocks,
                                                std::uint32_t* before) {
  const __m256i zero = _mm256_setzero_si256();
  const __m256i last = _mm256_set1_epi64x(3);
  __m256i count = zero;  // in every lane
  std::size_t block = 0;
  for (; block + 4 <= blocks; block += 4) {
    // Running sums of four numbers in two steps.
    __m256i sums = count_in_four<Combined>(a + block, b + block);
    sums = _mm256_add_epi64(sums, _mm256_alignr_epi64(sums, zero, 3));
    sums = _mm256_add_epi64(sums, _mm256_alignr_epi64(sums, zero, 2));
    const __m256i earlier = _mm256_add_epi64(count, _mm256_alignr_epi64(sums, zero, 3));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(before + block), _mm256_cvtepi64_epi32(earlier));
    count = _mm256_add_epi64(count, _mm256_permutexvar_epi64(last, sums));
  }
  auto total = static_cast<std::uint32_t>(_mm256_extract_epi64(count, 0));
  for (; block < blocks; ++block) {
    before[block] = total;
    total += count_in_block<Combined>(a[block], b[block]);
  }
  return total;
}

// The words of a block below a place, counted: a lane per word.
MGRN_AVX512 MGRN_INLINE __m256i counts_below(const __m256i block, std::uint32_t place) {
  const __m256i word_starts = _mm256_set_epi64x(192, 128, 64, 0);
  const __m256i no_header = _mm256_set_epi64x(-1, -1, -1, static_cast<long long>(kNoHeader));
  const __m256i one = _mm256_set1_epi64x(1);
  // Bits of each word that are below: none where saturation ends at zero, all from 64 on, where the shift
  // leaves nothing and the subtraction sets everything.
  const __m256i bits =
      _mm256_subs_epu16(_mm256_set1_epi64x(static_cast<long long>(place & 255)), word_starts);
  const __m256i below = _mm256_sub_epi64(_mm256_sllv_epi64(one, bits), one);
  return _mm256_popcnt_epi64(_mm256_and_si256(_mm256_and_si256(block, no_header), below));
}

MGRN_AVX512 MGRN_INLINE __m128i ranks_of_four(const CellBlock* cells, const std::uint32_t* places) {
  __m256i blocks[4];
  __m256i counts[4];
  for (int i = 0; i < 4; ++i) {
    blocks[i] = _mm256_load_si256(reinterpret_cast<const __m256i*>(cells + (places[i] >> 8)));
    counts[i] = counts_below(blocks[i], places[i]);
  }
  const __m256i first = _mm256_add_epi64(_mm256_unpacklo_epi64(counts[0], counts[1]),
                                         _mm256_unpackhi_epi64(counts[0], counts[1]));
  const __m256i second = _mm256_add_epi64(_mm256_unpacklo_epi64(counts[2], counts[3]),
                                          _mm256_unpackhi_epi64(counts[2], counts[3]));
  const __m256i within = _mm256_add_epi64(_mm256_permute2x128_si256(first, second, 0x20),
                                          _mm256_permute2x128_si256(first, second, 0x31));
  const __m256i headers = _mm256_permute2x128_si256(_mm256_unpacklo_epi64(blocks[0], blocks[1]),
                                                    _mm256_unpacklo_epi64(blocks[2], blocks[3]), 0x20);
  return _mm256_cvtepi64_epi32(_mm256_add_epi64(within, headers));  // the headers' upper halves fall away
}

MGRN_AVX512 void rank_avx512(const CellBlock* cells, std::span<const std::uint32_t> places,
                             std::uint32_t* index) {
  std::size_t i = 0;
  for (; i + 4 <= places.size(); i += 4) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(index + i), ranks_of_four(cells, places.data() + i));
  }
  ranks_of<Bmi2Bits>(cells, places.subspan(i), index + i);
}

template <typename Combined>
constexpr CombinedCellsKernels kAvx512Cells{.count = count_avx512<Combined>,
                                            .running_counts = running_counts_avx512<Combined>,
                                            .list = list_bmi2<Combined>,
                                            .select = select_bmi2<Combined>};

constexpr SamplerKernels kAvx512{.name = "avx512",
                                 .both = kAvx512Cells<InBoth>,
                                 .either = kAvx512Cells<InEither>,
                                 .rank = rank_avx512,
                                 .rank_both = rank_both_bmi2};

// AMD's first two Zen generations have bit deposit in microcode, slower than the portable loop.
bool has_bmi2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && !__builtin_cpu_is("znver1") &&
         !__builtin_cpu_is("znver2");
}
bool has_avx512() {
  return has_bmi2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vpopcntdq");
}

#endif

}  // namespace

std::vector<const SamplerKernels*> all_sampler_kernels() {
  std::vector<const SamplerKernels*> all{&kPortable};
#if defined(__x86_64__)
  if (has_bmi2()) {
    all.push_back(&kBmi2);
  }
  if (has_avx512()) {
    all.push_back(&kAvx512);
  }
#endif
  return all;
}

const SamplerKernels& sampler_kernels() {
  static const SamplerKernels& fastest = *all_sampler_kernels().back();
  return fastest;
}

namespace {

std::size_t whole_groups(std::size_t count) {
  return (count + 15) / 16 * 16;
}

}  // namespace

void SelectIndex::resize(std::size_t blocks) {
  before.resize(whole_groups(blocks));
}

void SelectIndex::finish(std::size_t blocks) {
  // Also as a signed number the largest.
  static constexpr std::uint32_t kNever = std::numeric_limits<std::int32_t>::max();
  const auto take_every16 = [](const std::vector<std::uint32_t>& from, std::size_t count,
                               std::vector<std::uint32_t>& to) {
    const std::size_t kept = (count + 15) / 16;
    to.assign(whole_groups(kept), kNever);
    for (std::size_t i = 0; i < kept; ++i) {
      to[i] = from[i * 16];
    }
    return kept;
  };
  std::fill(before.begin() + static_cast<std::ptrdiff_t>(blocks), before.end(), kNever);
  const std::size_t middle = take_every16(before, blocks, every16);
  take_every16(every16, middle, every256);
}

bool listing_is_faster(std::size_t blocks, std::size_t wanted) {
  // A list takes about 170 instructions for a block, a selection about 100 for a cell.
  return blocks * 170 <= wanted * 100;
}

bool ranking_all_is_faster(std::size_t blocks, std::size_t wanted) {
  // All ranks take about 450 instructions for a block, places 170, and two ranks of a cell 45.
  return blocks * (450 - 170) <= wanted * 45;
}

}  // namespace mgrn::pairs
