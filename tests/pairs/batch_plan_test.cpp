// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/batch_plan.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <tuple>

#include "multigrnformer/base/error.hpp"

namespace mgrn::pairs {
namespace {

using Key = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>;

std::vector<PlannedSample> all_of(const BatchPlan& plan) {
  std::vector<PlannedSample> samples;
  for (std::uint64_t step = 0; step < plan.steps(); ++step) {
    for (std::uint64_t unit = 0; unit < plan.units(step); ++unit) {
      const auto part = plan.unit(step, unit);
      samples.insert(samples.end(), part.begin(), part.end());
    }
  }
  return samples;
}

std::map<Key, int> counts_of(const BatchPlan& plan) {
  std::map<Key, int> counts;
  for (const PlannedSample& sample : all_of(plan)) {
    ++counts[{sample.dataset, sample.pair, sample.variant}];
  }
  return counts;
}

TEST(BatchPlan, CoversEverySampleOfEveryDatasetExactlyOnce) {
  const std::vector<std::uint32_t> pairs{100, 0, 37};
  const BatchPlan plan(pairs, {.augment = 3}, 0);
  EXPECT_EQ(plan.samples(), 411u);
  const auto counts = counts_of(plan);
  EXPECT_EQ(counts.size(), 411u);
  for (std::uint32_t dataset = 0; dataset < 3; ++dataset) {
    for (std::uint32_t pair = 0; pair < pairs[dataset]; ++pair) {
      for (std::uint32_t variant = 0; variant < 3; ++variant) {
        EXPECT_EQ(counts.at({dataset, pair, variant}), 1);
      }
    }
  }
}

TEST(BatchPlan, CutsIntoFullBatchesAndUnitsWithARestAtTheEnd) {
  const std::vector<std::uint32_t> pairs{107};
  const BatchPlan plan(pairs, {.batch = 32, .micro_batch = 16}, 0);
  EXPECT_EQ(plan.steps(), 4u);
  for (std::uint64_t step = 0; step < 3; ++step) {
    EXPECT_EQ(plan.batch(step).size(), 32u);
    EXPECT_EQ(plan.units(step), 2u);
    EXPECT_EQ(plan.unit(step, 1).size(), 16u);
  }
  EXPECT_EQ(plan.batch(3).size(), 11u);
  EXPECT_EQ(plan.units(3), 1u);
  EXPECT_EQ(plan.unit(3, 0).size(), 11u);
  // A micro-batch that does not divide the batch leaves a rest in every step.
  const BatchPlan uneven(pairs, {.batch = 40, .micro_batch = 16}, 0);
  EXPECT_EQ(uneven.units(0), 3u);
  EXPECT_EQ(uneven.unit(0, 2).size(), 8u);
  EXPECT_EQ(counts_of(uneven).size(), 107u);
}

TEST(BatchPlan, UnitsDivideABatchInOrderWhoeverComputesThem) {
  const std::vector<std::uint32_t> pairs{500, 300};
  const BatchPlan plan(pairs, {.augment = 2, .batch = 64}, 4);
  const BatchPlan elsewhere(pairs, {.augment = 2, .batch = 64}, 4);
  for (const std::uint64_t ranks : {1u, 2u, 3u, 5u}) {
    for (std::uint64_t step = 0; step < plan.steps(); ++step) {
      // Units dealt out to ranks and put together again are the batch.
      std::vector<PlannedSample> joined;
      for (std::uint64_t unit = 0; unit < plan.units(step); ++unit) {
        const auto part = (unit % ranks == 0 ? plan : elsewhere).unit(step, unit);
        joined.insert(joined.end(), part.begin(), part.end());
      }
      const auto batch = plan.batch(step);
      EXPECT_EQ(joined, std::vector<PlannedSample>(batch.begin(), batch.end()));
    }
  }
}

TEST(BatchPlan, OrderIsAFunctionOfSeedAndEpoch) {
  const std::vector<std::uint32_t> pairs{200};
  const auto order = [&](std::uint64_t seed, std::uint32_t epoch, int batch) {
    return all_of(BatchPlan(pairs, {.batch = batch, .micro_batch = 16, .seed = seed}, epoch));
  };
  EXPECT_EQ(order(1, 0, 32), order(1, 0, 32));
  EXPECT_EQ(order(1, 0, 32), order(1, 0, 64)) << "the batch size cuts the order, it does not change it";
  EXPECT_NE(order(1, 0, 32), order(1, 1, 32));
  EXPECT_NE(order(1, 0, 32), order(2, 0, 32));
}

TEST(BatchPlan, BalancedGivesEachDatasetTheSameShare) {
  const std::vector<std::uint32_t> pairs{10, 0, 100, 31};
  const BatchPlan plan(pairs, {.augment = 2, .mixing = Mixing::balanced}, 0);
  EXPECT_EQ(plan.samples(), 282u);
  std::map<std::uint32_t, int> of_dataset;
  const auto counts = counts_of(plan);
  for (const auto& [key, count] : counts) {
    EXPECT_EQ(count, 1) << "repeats of a pair are further variants, not the same sample";
    of_dataset[std::get<0>(key)] += count;
  }
  EXPECT_EQ(of_dataset, (std::map<std::uint32_t, int>{{0, 94}, {2, 94}, {3, 94}}));
  // 94 samples of 10 pairs: each four or five rounds of two.
  std::map<std::uint32_t, int> of_pair;
  for (const auto& [key, count] : counts) {
    if (std::get<0>(key) == 0) {
      of_pair[std::get<1>(key)] += count;
    }
  }
  ASSERT_EQ(of_pair.size(), 10u);
  for (const auto& [pair, count] : of_pair) {
    EXPECT_GE(count, 8);
    EXPECT_LE(count, 10);
  }
}

TEST(BatchPlan, BalancedTakesAnotherPartOfALargeDatasetEachEpoch) {
  const std::vector<std::uint32_t> pairs{10, 1000};
  std::set<std::uint32_t> seen;
  for (std::uint32_t epoch = 0; epoch < 12; ++epoch) {
    for (const PlannedSample& sample : all_of(BatchPlan(pairs, {.mixing = Mixing::balanced}, epoch))) {
      if (sample.dataset == 1) {
        seen.insert(sample.pair);
      }
    }
  }
  EXPECT_GT(seen.size(), 990u);
}

TEST(BatchPlan, RefusesIllegalNumbersAndAnEmptyPlan) {
  const std::vector<std::uint32_t> pairs{5};
  EXPECT_THROW(BatchPlan(pairs, {.augment = 0}, 0), base::UsageError);
  EXPECT_THROW(BatchPlan(pairs, {.batch = 0}, 0), base::UsageError);
  EXPECT_THROW(BatchPlan(pairs, {.micro_batch = -1}, 0), base::UsageError);
  EXPECT_THROW(BatchPlan({}, {}, 0), base::DataError);
  EXPECT_THROW(BatchPlan(std::vector<std::uint32_t>{0, 0}, {}, 0), base::DataError);
}

}  // namespace
}  // namespace mgrn::pairs
