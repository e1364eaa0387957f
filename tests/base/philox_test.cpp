// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/philox.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <vector>

namespace {

using mgrn::base::BufferedPhiloxStream;
using mgrn::base::NameHash;
using mgrn::base::philox4x32;
using mgrn::base::PhiloxBlock;
using mgrn::base::PhiloxStream;

// Known answers published with the generator's reference implementation (Random123, kat_vectors).
TEST(Philox, GivesThePublishedKnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, AStreamIsTheBlocksOfItsCounterInOrder) {
  PhiloxStream words(0x123456789abcdef0, 0xfedcba9876543210);
  PhiloxStream pairs = words;
  for (std::uint32_t index = 0; index < 3; ++index) {
    const PhiloxBlock block = philox4x32({index, 0, 0x76543210, 0xfedcba98}, {0x9abcdef0, 0x12345678});
    for (const std::uint32_t word : block) {
      EXPECT_EQ(words.next_u32(), word);
    }
    EXPECT_EQ(pairs.next_u64(), (std::uint64_t{block[0]} << 32) | block[1]);
    EXPECT_EQ(pairs.next_u64(), (std::uint64_t{block[2]} << 32) | block[3]);
  }
}

TEST(Philox, StreamsOfEqualNamesAreEqualAndOthersDiffer) {
  PhiloxStream a(7, 9), b(7, 9), c(7, 10), d(8, 9);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t value = a.next_u64();
    EXPECT_EQ(value, b.next_u64());
    seen.insert({value, c.next_u64(), d.next_u64()});
  }
  EXPECT_EQ(seen.size(), 3000u);
}

TEST(Philox, FillingGivesTheNumbersOfTheStream) {
  for (const std::size_t count : {0u, 1u, 15u, 16u, 17u, 64u, 500u, 1003u}) {
    for (const auto& [key, stream] :
         {std::pair{0ull, 0ull}, {0xFEDCBA9876543210ull, 0x0123456789ABCDEFull}}) {
      std::vector<std::uint32_t> filled(count, 7), drawn(count);
      mgrn::base::philox_fill(key, stream, filled);
      PhiloxStream random(key, stream);
      std::generate(drawn.begin(), drawn.end(), [&] { return random.next_u32(); });
      EXPECT_EQ(filled, drawn);
    }
  }
}

TEST(Philox, FillingMayBeginAtAnyBlock) {
  for (const std::uint64_t first :
       {std::uint64_t{3}, std::uint64_t{0xFFFFFFFE}, std::uint64_t{0x123456789A}}) {
    std::vector<std::uint32_t> filled(70);
    mgrn::base::philox_fill(0x9abcdef012345678, 5, filled, first);
    for (std::size_t i = 0; i < filled.size(); ++i) {
      const std::uint64_t index = first + i / 4;
      const PhiloxBlock block =
          philox4x32({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), 5, 0},
                     {0x12345678, 0x9abcdef0});
      EXPECT_EQ(filled[i], block.at(i % 4));
    }
  }
}

TEST(Philox, ABufferedStreamHasTheNumbersOfThePlainOne) {
  PhiloxStream plain(0xFEDCBA9876543210, 0x0123456789ABCDEF);
  BufferedPhiloxStream buffered(0xFEDCBA9876543210, 0x0123456789ABCDEF);
  for (std::uint32_t i = 1; i < 1000; ++i) {
    EXPECT_EQ(buffered.next_u32(), plain.next_u32());
    EXPECT_EQ(buffered.below(i), plain.below(i));
    EXPECT_EQ(buffered.uniform(), plain.uniform());
  }
  BufferedPhiloxStream copy = buffered;
  EXPECT_EQ(copy.next_u64(), buffered.next_u64());
}

TEST(Philox, BelowIsUniform) {
  PhiloxStream random(1, 2);
  constexpr std::uint32_t kBound = 7;
  constexpr int kDraws = 70000;
  std::vector<int> count(kBound);
  for (int i = 0; i < kDraws; ++i) {
    ++count.at(random.below(kBound));
  }
  double chi_square = 0;
  for (const int n : count) {
    chi_square += (n - 1e4) * (n - 1e4) / 1e4;
  }
  EXPECT_LT(chi_square, 22.46);  // 99.9 % quantile with 6 degrees of freedom
}

TEST(Philox, BelowIsUniformWhereABoundDividesTheRangeBadly) {
  // Of four neighbours in 32 bits, three numbers are made: one of the four has to be drawn again.
  PhiloxStream random(1, 3);
  std::array<int, 3> count{};
  for (int i = 0; i < 30000; ++i) {
    ++count.at(random.below(3u << 30) % 3);
  }
  for (const int n : count) {
    EXPECT_NEAR(n, 10000, 300);
  }
}

TEST(Philox, NormalHasUnitMoments) {
  PhiloxStream random(3, 4);
  double sum = 0, squares = 0;
  constexpr int kDraws = 200000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.01);
  EXPECT_NEAR(squares / kDraws, 1, 0.015);
}

TEST(Philox, ShuffleKeepsEveryItem) {
  std::vector<int> items(101);
  std::iota(items.begin(), items.end(), 0);
  const auto before = items;
  PhiloxStream random(5, 6);
  mgrn::base::shuffle(items, random);
  EXPECT_NE(items, before);
  EXPECT_TRUE(std::is_permutation(items.begin(), items.end(), before.begin()));
}

TEST(NameHash, DependsOnOrderAndOnWhereStringsEnd) {
  const auto hash = [](auto... parts) {
    NameHash name;
    (name.add(parts), ...);
    return name.value();
  };
  using Text = std::string_view;
  EXPECT_EQ(hash(std::uint64_t{1}, Text("GATA1")), hash(std::uint64_t{1}, Text("GATA1")));
  EXPECT_NE(hash(Text("AB"), Text("C")), hash(Text("A"), Text("BC")));
  EXPECT_NE(hash(std::uint64_t{1}, std::uint64_t{2}), hash(std::uint64_t{2}, std::uint64_t{1}));
}

}  // namespace
