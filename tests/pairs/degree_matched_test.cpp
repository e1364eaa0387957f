// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/degree_matched.hpp"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>

namespace mgrn::pairs {
namespace {

using Degrees = std::vector<std::uint32_t>;

std::pair<Degrees, Degrees> degrees_of(const PairPositions& pairs, std::size_t tfs, std::size_t genes) {
  Degrees tf(tfs, 0), gene(genes, 0);
  for (const auto& [t, g] : pairs) {
    ++tf[t];
    ++gene[g];
  }
  return {tf, gene};
}

TEST(PairsWithDegrees, GiveExactlyTheDegreesOfARandomGraphAvoidingForbiddenPairs) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    base::PhiloxStream random(seed, 0);
    AllowedPairs allowed(15, 40);
    Degrees tf(15, 0), gene(40, 0);
    // Degrees of a graph that exists, so that an exact answer exists.
    for (std::uint32_t t = 0; t < 15; ++t) {
      for (std::uint32_t g = 0; g < 40; ++g) {
        const std::uint32_t dice = random.below(10);
        if (dice < 4) {
          allowed.forbid(t, g);
        } else if (dice < 8 - t / 3) {
          ++tf[t];
          ++gene[g];
        }
      }
    }
    const auto pairs = pairs_with_degrees(allowed, tf, gene, random);
    EXPECT_EQ(degrees_of(pairs, 15, 40), std::make_pair(tf, gene));
    EXPECT_EQ(std::set(pairs.begin(), pairs.end()).size(), pairs.size());
    for (const auto& [t, g] : pairs) {
      EXPECT_TRUE(allowed(t, g));
    }
  }
}

TEST(PairsWithDegrees, NeedsAugmentingPathsAndFindsThem) {
  // TF 0 may take any gene, TF 1 only gene 0: whoever serves TF 0 first with gene 0 has to give it back.
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    base::PhiloxStream random(seed, 0);
    AllowedPairs allowed(3, 3);
    allowed.forbid(1, 1);
    allowed.forbid(1, 2);
    allowed.forbid(2, 2);
    const auto pairs = pairs_with_degrees(allowed, {1, 1, 1}, {1, 1, 1}, random);
    EXPECT_EQ(pairs, (PairPositions{{0, 2}, {1, 0}, {2, 1}}));
  }
}

TEST(PairsWithDegrees, GivesALargestSetWhereTheDegreesCannotBeMet) {
  base::PhiloxStream random(1, 0);
  AllowedPairs allowed(2, 3);
  allowed.forbid(0, 0);
  allowed.forbid(0, 1);
  const auto pairs = pairs_with_degrees(allowed, {3, 1}, {1, 1, 2}, random);
  EXPECT_EQ(pairs.size(), 2u);
}

// All 2-regular bipartite graphs on 3 + 3 nodes without forbidden pairs: the six complements of a perfect
// matching. The chain must reach all of them about equally often.
TEST(PairsWithDegrees, AreSpreadEvenlyOverAllSolutions) {
  std::map<PairPositions, int> seen;
  constexpr int kDraws = 3000;
  for (int draw = 0; draw < kDraws; ++draw) {
    base::PhiloxStream random(static_cast<std::uint64_t>(draw), 5);
    const AllowedPairs allowed(3, 3);
    ++seen[pairs_with_degrees(allowed, {2, 2, 2}, {2, 2, 2}, random)];
  }
  ASSERT_EQ(seen.size(), 6u);
  double chi_square = 0;
  for (const auto& [pairs, count] : seen) {
    chi_square += (count - kDraws / 6.0) * (count - kDraws / 6.0) / (kDraws / 6.0);
  }
  EXPECT_LT(chi_square, 20.5) << "0.1 % of chi-square with 5 degrees of freedom";
}

}  // namespace
}  // namespace mgrn::pairs
