// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "multigrnformer/train/reduction.hpp"
#include "reduction_parts.hpp"

namespace mgrn::train {
namespace {

using test::kParameters;
using test::Result;
using test::unit_gradient;
using test::unit_statistics;

/// `parts[i]` are the units of thread i, in order; all merged into the first and reduced by one rank.
Result sum_of(const std::vector<std::vector<std::uint64_t>>& parts, bool exact, int scale = 40) {
  std::vector<std::unique_ptr<GradientSum>> sums;
  for (const auto& units : parts) {
    sums.push_back(exact ? make_exact_sum(kParameters) : make_float_sum(kParameters));
    sums.back()->start(scale);
    for (const std::uint64_t unit : units) {
      sums.back()->add(unit_gradient(unit), unit_statistics(unit));
    }
  }
  for (std::size_t i = 1; i < sums.size(); ++i) {
    sums[0]->merge(*sums[i]);
  }
  Result result;
  result.gradient.assign(kParameters, -1.0f);
  const auto self = comm::make_self_communicator();
  result.outcome = sums[0]->reduce(*self, 1, result.gradient);
  return result;
}

void expect_same(const Result& a, const Result& b) {
  EXPECT_EQ(a.gradient, b.gradient);
  EXPECT_EQ(a.outcome.loss, b.outcome.loss);
  EXPECT_EQ(a.outcome.live_hidden, b.outcome.live_hidden);
  EXPECT_EQ(a.outcome.units, b.outcome.units);
}

std::vector<std::uint64_t> units_up_to(std::uint64_t count) {
  std::vector<std::uint64_t> units(count);
  std::iota(units.begin(), units.end(), std::uint64_t{0});
  return units;
}

std::vector<std::vector<std::vector<std::uint64_t>>> partitions() {
  std::vector<std::vector<std::vector<std::uint64_t>>> all;
  auto order = units_up_to(37);
  for (std::size_t threads = 1; threads <= 5; ++threads) {
    base::PhiloxStream random(9, threads);
    base::shuffle(order, random);
    std::vector<std::vector<std::uint64_t>> parts(threads);
    for (const std::uint64_t unit : order) {
      parts[random.below(static_cast<std::uint32_t>(threads))].push_back(unit);
    }
    all.push_back(parts);
  }
  return all;
}

TEST(ExactSum, ValuesThatGpusReducedAreTakenAsTheyAreAndTheCountersStillSummed) {
  const Result expected = sum_of({units_up_to(37)}, true);
  for (const std::uint64_t threads : {1, 2}) {
    comm::run_ranks(3, [&](comm::Communicator& world) {
      std::vector<std::unique_ptr<GradientSum>> sums;
      for (std::uint64_t thread = 0; thread < threads; ++thread) {
        sums.push_back(make_exact_sum(kParameters));
        sums.back()->start(40);
        const auto first = static_cast<std::uint64_t>(world.rank()) + 3 * thread;
        for (std::uint64_t unit = first; unit < 37; unit += 3 * threads) {
          sums.back()->add(unit_gradient(unit), unit_statistics(unit));
        }
        const auto values = sums.back()->direct()->values;
        world.all_reduce({reinterpret_cast<std::int64_t*>(values.data()), values.size()},
                         comm::Reduction::sum);
        sums.back()->set_reduced();
      }
      for (std::uint64_t thread = 1; thread < threads; ++thread) {
        sums[0]->merge(*sums[thread]);
      }
      Result result;
      result.gradient.assign(kParameters, -1.0f);
      result.outcome = sums[0]->reduce(world, 1, result.gradient);
      expect_same(result, expected);
      // Started anew they are this rank's own again.
      sums[0]->start(40);
      sums[0]->add(unit_gradient(0), unit_statistics(0));
      EXPECT_EQ(sums[0]->reduce(world, 3, result.gradient).units, 3);
      EXPECT_EQ(result.gradient, sum_of({{0}}, true).gradient);
    });
  }
  const auto reduced = make_exact_sum(kParameters), own = make_exact_sum(kParameters);
  reduced->start(40);
  own->start(40);
  reduced->set_reduced();
  EXPECT_THROW(reduced->merge(*own), base::InternalError);
}

TEST(ExactSum, AnyOrderAndAnyDivisionOfTheUnitsGivesTheSameBits) {
  const Result all_in_order = sum_of({units_up_to(37)}, true);
  for (const auto& parts : partitions()) {
    expect_same(all_in_order, sum_of(parts, true));
  }
  EXPECT_EQ(all_in_order.outcome.units, 37);
  EXPECT_TRUE(all_in_order.outcome.usable());
}

TEST(ExactSum, AnyNumberOfRanksAndThreadsGivesTheBitsOfOne) {
  const auto self = comm::make_self_communicator();
  const Result alone = test::reduce_dealt_out(*self, true, 37, 1);
  for (const int ranks : {1, 2, 3, 4, 7}) {
    for (const std::uint64_t threads : {1u, 2u}) {
      std::vector<Result> results(static_cast<std::size_t>(ranks));
      comm::run_ranks(ranks, [&](comm::Communicator& world) {
        results[static_cast<std::size_t>(world.rank())] = test::reduce_dealt_out(world, true, 37, threads);
      });
      for (const Result& result : results) {
        expect_same(alone, result);
      }
    }
  }
}

TEST(FloatSum, BitsDependOnTheNumberOfRanks) {
  const auto self = comm::make_self_communicator();
  const Result alone = test::reduce_dealt_out(*self, false, 37, 1);
  bool differs = false;
  for (const int ranks : {2, 3, 4}) {
    comm::run_ranks(ranks, [&](comm::Communicator& world) {
      const Result result = test::reduce_dealt_out(world, false, 37, 1);
      if (world.rank() == 0) {
        differs = differs || result.gradient != alone.gradient;
      }
    });
  }
  EXPECT_TRUE(differs);
}

TEST(ExactSum, RanksWithDifferentScalesAllThrow) {
  std::vector<int> thrown(3, 0);
  comm::run_ranks(3, [&](comm::Communicator& world) {
    const auto sum = make_exact_sum(2);
    sum->start(world.rank() == 1 ? 32 : 40);
    std::vector<float> gradient(2);
    try {
      sum->reduce(world, 1, gradient);
    } catch (const base::InternalError&) {
      thrown[static_cast<std::size_t>(world.rank())] = 1;
    }
  });
  EXPECT_EQ(thrown, std::vector<int>(3, 1));
}

TEST(FloatSum, BitsDependOnTheDivisionSoTheTestAboveCanFail) {
  const Result all_in_order = sum_of({units_up_to(37)}, false);
  bool differs = false;
  for (const auto& parts : partitions()) {
    const Result other = sum_of(parts, false);
    differs = differs || other.gradient != all_in_order.gradient;
    EXPECT_EQ(other.outcome.units, 37);
    EXPECT_EQ(other.outcome.live_hidden, all_in_order.outcome.live_hidden);
    EXPECT_NEAR(other.outcome.loss, all_in_order.outcome.loss, 1e-9);
  }
  EXPECT_TRUE(differs);
}

TEST(ExactSum, EachUnitErrsByHalfAStepAtMost) {
  std::vector<std::vector<float>> gradients;
  for (std::uint64_t unit = 0; unit < 64; ++unit) {
    gradients.push_back(unit_gradient(unit));
  }
  for (const int scale : kScales) {
    const Result result = sum_of({units_up_to(64)}, true, scale);
    for (std::size_t i = 0; i < kParameters; ++i) {
      long double truth = 0;
      for (const auto& gradient : gradients) {
        truth += static_cast<long double>(gradient[i]);
      }
      const long double bound = 64 * std::ldexp(1.0L, -scale - 1);
      // The result itself is rounded to float32.
      const long double rounding = std::fabs(truth) * 0x1.0p-24L;
      ASSERT_LE(std::fabs(static_cast<long double>(result.gradient[i]) - truth), bound + rounding)
          << "scale " << scale << ", value " << i;
    }
  }
}

TEST(ExactSum, OneUnitComesBackAsItWasWhereTheScaleCanHoldIt) {
  const auto sum = make_exact_sum(4);
  sum->start(40);
  const std::vector<float> gradient{1.5f, -1023.99f, 0x1.0p-40f, -0x1.8p-41f};
  sum->add(gradient, {.loss = 0.1, .live_hidden = 3});
  std::vector<float> out(4);
  const auto self = comm::make_self_communicator();
  const auto outcome = sum->reduce(*self, 1, out);
  // 0.75 steps round to one step.
  EXPECT_EQ(out, (std::vector<float>{1.5f, -1023.99f, 0x1.0p-40f, -0x1.0p-40f}));
  EXPECT_NEAR(outcome.loss, 0.1, 0x1.0p-45);
  EXPECT_EQ(outcome.live_hidden, 3);
}

TEST(ExactSum, LossKeepsItsDigitsForSmallAndForHugeLosses) {
  const auto sum = make_exact_sum(1);
  const auto self = comm::make_self_communicator();
  const std::vector<float> gradient{0.0f};
  std::vector<float> out(1);
  sum->start(40);
  long double truth = 0;
  for (int unit = 0; unit < 100; ++unit) {
    const double loss = unit % 2 == 0 ? 1e-6 * (unit + 1) : 1e9 * (unit + 0.3);
    truth += static_cast<long double>(loss);
    sum->add(gradient, {.loss = loss, .live_hidden = 0});
  }
  EXPECT_NEAR(sum->reduce(*self, 1, out).loss, static_cast<double>(truth),
              static_cast<double>(truth) * 2e-16);
}

class BadUnits : public testing::TestWithParam<bool> {};

TEST_P(BadUnits, AreCountedByKindAndLeaveNoTraceInTheLoss) {
  const bool exact = GetParam();
  const auto make = exact ? make_exact_sum : make_float_sum;
  const auto self = comm::make_self_communicator();
  const float infinity = std::numeric_limits<float>::infinity();
  struct Case {
    float value;
    bool non_finite;
    bool out_of_range;
  };
  const Case cases[] = {{std::numeric_limits<float>::quiet_NaN(), true, false},
                        {-std::numeric_limits<float>::quiet_NaN(), true, false},
                        {std::numeric_limits<float>::signaling_NaN(), true, false},
                        {infinity, true, false},
                        {-infinity, true, false},
                        {5000.0f, false, exact},
                        {-1024.0f, false, exact},
                        {std::numeric_limits<float>::max(), false, exact},
                        {1023.9999f, false, false},
                        {-1000.0f, false, false}};
  const Result clean = sum_of({units_up_to(5)}, exact);
  for (const Case& one : cases) {
    for (const std::size_t place : {std::size_t{0}, std::size_t{501}, kParameters - 1}) {
      auto sum = make(kParameters);
      sum->start(40);
      for (std::uint64_t unit = 0; unit < 5; ++unit) {
        sum->add(unit_gradient(unit), unit_statistics(unit));
        if (unit == 2) {
          auto gradient = unit_gradient(99);
          gradient[place] = one.value;
          sum->add(gradient, {.loss = 3, .live_hidden = 5});
        }
      }
      std::vector<float> out(kParameters, -7.0f);
      const auto outcome = sum->reduce(*self, 1, out);
      EXPECT_EQ(outcome.units, 6);
      EXPECT_EQ(outcome.units_non_finite, one.non_finite ? 1 : 0) << one.value;
      EXPECT_EQ(outcome.units_out_of_range, one.out_of_range ? 1 : 0) << one.value;
      if (one.non_finite || one.out_of_range) {
        EXPECT_FALSE(outcome.usable());
        EXPECT_EQ(out, std::vector<float>(kParameters, -7.0f)) << "an unusable sum must not be handed out";
        EXPECT_NEAR(outcome.loss, clean.outcome.loss, 1e-9);
        EXPECT_EQ(outcome.live_hidden, clean.outcome.live_hidden);
      } else {
        EXPECT_TRUE(outcome.usable());
        EXPECT_NEAR(outcome.loss, clean.outcome.loss + 3, 1e-9);
      }
    }
  }
}

TEST_P(BadUnits, ANonFiniteLossMakesTheUnitNonFinite) {
  const auto self = comm::make_self_communicator();
  for (const double loss :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    auto sum = (GetParam() ? make_exact_sum : make_float_sum)(2);
    sum->start(40);
    std::vector<float> gradient{1.0f, 2.0f};
    sum->add(gradient, {.loss = loss, .live_hidden = 1});
    const auto outcome = sum->reduce(*self, 1, gradient);
    EXPECT_EQ(outcome.units_non_finite, 1);
    EXPECT_EQ(outcome.live_hidden, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(BothKinds, BadUnits, testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Exact" : "Float"; });

TEST(ExactSum, ASmallerScaleTakesWhatWasOutOfRange) {
  const auto self = comm::make_self_communicator();
  auto sum = make_exact_sum(1);
  std::vector<float> out(1);
  const float big = 250000.0f;
  sum->start(40);
  sum->add(std::vector<float>{big}, {});
  EXPECT_EQ(sum->reduce(*self, 1, out).units_out_of_range, 1);
  sum->start(32);
  sum->add(std::vector<float>{big}, {});
  EXPECT_TRUE(sum->reduce(*self, 1, out).usable());
  EXPECT_EQ(out[0], big);
}

TEST(ExactSum, FourThousandUnitsAtTheLimitDoNotOverflow) {
  const auto self = comm::make_self_communicator();
  const float largest = std::nextafter(1024.0f, 0.0f);
  auto sum = make_exact_sum(2);
  sum->start(40);
  for (int unit = 0; unit < kMostUnits; ++unit) {
    sum->add(std::vector<float>{largest, -largest}, {});
  }
  std::vector<float> out(2);
  EXPECT_TRUE(sum->reduce(*self, 1, out).usable());
  EXPECT_EQ(out, (std::vector<float>{largest * 4096, -largest * 4096}));
}

TEST(ExactSum, MoreUnitsThanThereIsRoomForAreRefused) {
  const auto self = comm::make_self_communicator();
  auto sum = make_exact_sum(1);
  sum->start(40);
  std::vector<float> gradient{1.0f};
  for (int unit = 0; unit <= kMostUnits; ++unit) {
    sum->add(gradient, {});
  }
  EXPECT_THROW(sum->reduce(*self, 1, gradient), base::InternalError);
}

TEST(GradientSums, StartForgetsAndAnEmptySumIsZero) {
  const auto self = comm::make_self_communicator();
  for (const auto make : {make_exact_sum, make_float_sum}) {
    auto sum = make(3);
    std::vector<float> out{1, 2, 3};
    sum->start(40);
    sum->add(out, {.loss = 1, .live_hidden = 1});
    sum->start(40);
    const auto outcome = sum->reduce(*self, 1, out);
    EXPECT_EQ(outcome.units, 0);
    EXPECT_EQ(outcome.loss, 0);
    EXPECT_EQ(out, (std::vector<float>{0, 0, 0}));
  }
}

TEST(GradientSums, RefuseWhatDoesNotFit) {
  auto exact = make_exact_sum(3);
  exact->start(40);
  EXPECT_THROW(exact->start(50), base::InternalError);
  EXPECT_THROW(exact->add(std::vector<float>(2), {}), base::InternalError);
  EXPECT_THROW(exact->merge(*make_float_sum(3)), base::InternalError);
  EXPECT_THROW(exact->merge(*make_exact_sum(4)), base::InternalError);
  auto other_scale = make_exact_sum(3);
  other_scale->start(32);
  EXPECT_THROW(exact->merge(*other_scale), base::InternalError);
}

TEST(FloatSum, FiniteUnitsThatOverflowTogetherAreNotUsable) {
  const auto self = comm::make_self_communicator();
  auto sum = make_float_sum(1);
  sum->start(40);
  std::vector<float> gradient{std::numeric_limits<float>::max()};
  sum->add(gradient, {});
  sum->add(gradient, {});
  EXPECT_FALSE(sum->reduce(*self, 1, gradient).usable());
}

}  // namespace
}  // namespace mgrn::train
