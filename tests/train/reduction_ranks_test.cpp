// SPDX-License-Identifier: Apache-2.0
// The gradient sums over MPI ranks: every rank count must give the bits of one rank.
#include <gtest/gtest.h>

#include <limits>

#include "multigrnformer/base/error.hpp"
#include "reduction_parts.hpp"
#include "support/mpi_world.hpp"

namespace mgrn::train {
namespace {

TEST(ExactSumOverRanks, GivesTheBitsOfOneRank) {
  const auto self = comm::make_self_communicator();
  for (const std::uint64_t units : {0u, 1u, 2u, 37u}) {
    const auto alone = test::reduce_dealt_out(*self, true, units, 1);
    for (const std::uint64_t threads : {1u, 3u}) {
      const auto together = test::reduce_dealt_out(mgrn::test::world(), true, units, threads);
      EXPECT_EQ(together.gradient, alone.gradient);
      EXPECT_EQ(together.outcome.loss, alone.outcome.loss);
      EXPECT_EQ(together.outcome.live_hidden, alone.outcome.live_hidden);
      EXPECT_EQ(together.outcome.units, static_cast<std::int64_t>(units));
    }
  }
}

TEST(ExactSumOverRanks, OneBadUnitIsKnownToAll) {
  for (const auto& [bad, non_finite] : {std::pair{std::numeric_limits<float>::quiet_NaN(), 1},
                                        {std::numeric_limits<float>::infinity(), 1},
                                        {5000.0f, 0}}) {
    const auto result = test::reduce_dealt_out(mgrn::test::world(), true, 9, 2, &bad);
    EXPECT_EQ(result.outcome.units, 9);
    EXPECT_EQ(result.outcome.units_non_finite, non_finite);
    EXPECT_EQ(result.outcome.units_out_of_range, 1 - non_finite);
    EXPECT_EQ(result.gradient, std::vector<float>(test::kParameters, -1.0f));
  }
}

TEST(ExactSumOverRanks, DifferentScalesAreAnErrorOnEveryRank) {
  auto& world = mgrn::test::world();
  if (world.size() == 1) {
    GTEST_SKIP() << "one rank has one scale";
  }
  const auto sum = make_exact_sum(3);
  sum->start(world.rank() == 0 ? 32 : 40);
  std::vector<float> gradient(3);
  EXPECT_THROW(sum->reduce(world, 1, gradient), base::InternalError);
}

TEST(FloatSumOverRanks, AgreesOnAllRanksAndCountsTheSame) {
  auto& world = mgrn::test::world();
  const auto result = test::reduce_dealt_out(world, false, 37, 2);
  EXPECT_EQ(result.outcome.units, 37);
  const auto gathered = world.all_gather(std::as_bytes(std::span<const float>(result.gradient)));
  for (const auto& bytes : gathered) {
    EXPECT_EQ(comm::from_bytes<float>(bytes), result.gradient);
  }
}

}  // namespace
}  // namespace mgrn::train
