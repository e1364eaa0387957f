// SPDX-License-Identifier: Apache-2.0
// Drawn ranks against the shuffle written out.
#include "pairs/rank_draw.hpp"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "multigrnformer/base/philox.hpp"

namespace mgrn::pairs {
namespace {

std::vector<std::uint32_t> written_out(std::uint32_t count, std::uint32_t wanted, std::uint64_t key) {
  base::PhiloxStream random(key, 0);
  std::vector<std::uint32_t> ranks;
  if (count < wanted) {
    for (std::uint32_t i = 0; i < wanted; ++i) {
      ranks.push_back(random.below(count));
    }
    return ranks;
  }
  std::map<std::uint32_t, std::uint32_t> moved;  // the identity but for these
  const auto at = [&](std::uint32_t place) -> std::uint32_t& {
    return moved.emplace(place, place).first->second;
  };
  for (std::uint32_t i = 0; i < wanted; ++i) {
    std::swap(at(i), at(i + random.below(count - i)));
    ranks.push_back(at(i));
  }
  return ranks;
}

TEST(RankDraw, IsTheBeginningOfAFisherYatesShuffle) {
  RankDraw draw;  // one for all: a draw leaves no trace
  for (const std::uint32_t wanted : {1u, 7u, 16u, 500u, 1000u}) {
    for (const std::uint32_t count :
         {1u, 6u, 7u, 8u, 499u, 500u, 501u, 1000u, 5000u, 32768u, 32769u, 500000u}) {
      for (std::uint64_t key = 0; key < 5; ++key) {
        EXPECT_EQ(draw.draw(count, wanted, key), written_out(count, wanted, key)) << count << " " << wanted;
      }
    }
  }
}

TEST(RankDraw, DrawsAgainWhereANumberWouldBeBiased) {
  // With bounds of this size a quarter of the numbers is rejected, which shifts all that follow.
  RankDraw draw;
  for (std::uint64_t key = 0; key < 20; ++key) {
    EXPECT_EQ(draw.draw(3u << 30, 100, key), written_out(3u << 30, 100, key));
  }
}

TEST(RankDraw, ShufflesAsTheOneByOneShuffleDoes) {
  RankDraw draw;
  for (const std::uint32_t count : {0u, 1u, 2u, 3u, 17u, 500u, 1001u}) {
    for (std::uint64_t key = 0; key < 5; ++key) {
      std::vector<std::uint32_t> one(count);
      std::iota(one.begin(), one.end(), 0u);
      auto other = one;
      draw.shuffle(one, key);
      base::PhiloxStream random(key, 0);
      base::shuffle(other, random);
      EXPECT_EQ(one, other);
    }
  }
}

}  // namespace
}  // namespace mgrn::pairs
