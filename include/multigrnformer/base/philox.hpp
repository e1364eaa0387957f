// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC11, doi 10.1145/2063384.2063405). A number is a pure function of key and counter; there is no
// generator state to lose, to share or to restore.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>

namespace mgrn::base {

using PhiloxBlock = std::array<std::uint32_t, 4>;

/// The ten-round Philox4x32 function.
inline PhiloxBlock philox4x32(PhiloxBlock counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// What is made of the 32-bit numbers of a stream, Source::next_u32().
template <typename Source>
class RandomNumbers {
 public:
  std::uint64_t next_u64() {
    const std::uint64_t high = source().next_u32();
    return (high << 32) | source().next_u32();
  }

  /// Uniform on {0, ..., bound-1} without bias (Lemire, doi 10.1145/3230636). bound > 0.
  std::uint32_t below(std::uint32_t bound) {
    std::uint64_t product = std::uint64_t{source().next_u32()} * bound;
    auto low = static_cast<std::uint32_t>(product);
    if (low < bound) {
      const std::uint32_t threshold = (0u - bound) % bound;
      while (low < threshold) {
        product = std::uint64_t{source().next_u32()} * bound;
        low = static_cast<std::uint32_t>(product);
      }
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

  /// Uniform on [0, 1) with 53 random bits.
  double uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }

  /// Standard normal (Box-Muller, one of the pair).
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(6.283185307179586476925 * uniform());
  }

 private:
  friend Source;
  RandomNumbers() = default;
  Source& source() { return static_cast<Source&>(*this); }
};

/// A stream of random numbers named by (key, stream): equal names give equal numbers, on any machine.
/// A value type; copying it copies the position.
class PhiloxStream : public RandomNumbers<PhiloxStream> {
 public:
  PhiloxStream(std::uint64_t key, std::uint64_t stream)
      : key_{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}, stream_(stream) {}

  std::uint32_t next_u32() {
    if (used_ == 4) {
      block_ = philox4x32({static_cast<std::uint32_t>(index_), static_cast<std::uint32_t>(index_ >> 32),
                           static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                          key_);
      ++index_;
      used_ = 0;
    }
    return block_[used_++];
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint64_t stream_;
  std::uint64_t index_ = 0;
  PhiloxBlock block_{};
  unsigned used_ = 4;
};

/// The numbers of PhiloxStream(key, stream) from `first_block`, of four numbers each, on; several blocks at a
/// time where the processor can.
void philox_fill(std::uint64_t key, std::uint64_t stream, std::span<std::uint32_t> numbers,
                 std::uint64_t first_block = 0);

/// The numbers of PhiloxStream(key, stream), made many at once: faster where hundreds are drawn, slower where
/// a few are.
class BufferedPhiloxStream : public RandomNumbers<BufferedPhiloxStream> {
 public:
  BufferedPhiloxStream(std::uint64_t key, std::uint64_t stream) : key_(key), stream_(stream) {}

  std::uint32_t next_u32() {
    if (used_ == numbers_.size()) {
      refill();
    }
    return numbers_[used_++];
  }

 private:
  void refill();

  std::uint64_t key_;
  std::uint64_t stream_;
  std::uint64_t next_block_ = 0;
  std::array<std::uint32_t, 128> numbers_{};
  std::size_t used_ = numbers_.size();
};

/// Moves `items` into a uniformly random order (Fisher-Yates).
template <typename Container>
void shuffle(Container& items, PhiloxStream& random) {
  for (std::size_t last = items.size(); last > 1; --last) {
    using std::swap;
    swap(items[last - 1], items[random.below(static_cast<std::uint32_t>(last))]);
  }
}

/// Folds values into one 64-bit name, such as (seed, run, dataset, TF, gene, epoch): order matters,
/// strings are folded with their length. Stable for ever: sampled cells depend on it.
class NameHash {
 public:
  NameHash& add(std::uint64_t value) {
    state_ = mix(state_ ^ mix(value + 0x9E3779B97F4A7C15ull));
    return *this;
  }
  /// What add(text) takes of a text: for texts that are added again and again.
  struct Digest {
    std::uint64_t fnv, size;
  };
  static Digest digest(std::string_view text) {
    std::uint64_t fnv = 0xCBF29CE484222325ull;
    for (const char letter : text) {
      fnv = (fnv ^ static_cast<unsigned char>(letter)) * 0x100000001B3ull;
    }
    return {fnv, text.size()};
  }
  NameHash& add(const Digest& text) { return add(text.fnv).add(text.size); }
  NameHash& add(std::string_view text) { return add(digest(text)); }
  std::uint64_t value() const { return state_; }

 private:
  // The finaliser of SplitMix64 (Steele et al., doi 10.1145/2660193.2660195).
  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  std::uint64_t state_ = 0x6D67726E32303235ull;
};

}  // namespace mgrn::base
