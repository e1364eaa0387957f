// SPDX-License-Identifier: Apache-2.0
// Both ways from gradients to weights, on ranks that are threads and nodes that are made up.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "comm/made_up_nodes.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "update_parts.hpp"

namespace mgrn::train {
namespace {

class UpdateOf : public testing::TestWithParam<std::pair<const char*, test::Variant>> {};

TEST_P(UpdateOf, OneSumAndOneStepGivesTheSameBitsOnAnyRanksThreadsAndNodes) {
  const auto& variant = GetParam().second;
  const auto expected = test::expected_training(variant);
  struct Case {
    int ranks, node_ranks, threads;
  };
  for (const Case& one : {Case{1, 1, 1}, Case{1, 1, 3}, Case{2, 2, 1}, Case{3, 3, 2}, Case{4, 2, 1},
                          Case{5, 3, 2}, Case{3, 1, 1}}) {
    SCOPED_TRACE(std::to_string(one.ranks) + " ranks, " + std::to_string(one.node_ranks) + " a node, " +
                 std::to_string(one.threads) + " threads");
    for (const test::MakeUpdate& make :
         {test::MakeUpdate(make_sliced_update), test::MakeUpdate(test::whole_and_exact)}) {
      comm::run_ranks(one.ranks, [&](comm::Communicator& world) {
        comm::test::MadeUpNodes nodes(world, one.node_ranks);
        test::expect_same_training(expected, nodes, one.threads, variant, make);
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, UpdateOf,
    testing::Values(std::pair("Adam", test::Variant{}), std::pair("ClippedAdam", test::Variant{.clip = 0.25}),
                    std::pair("AdamOnTheEncoder", test::Variant{.freeze = Freeze::predictor}),
                    std::pair("ClippedAdamOnThePredictor",
                              test::Variant{.clip = 0.25, .freeze = Freeze::encoder}),
                    std::pair("ClippedSgd", test::Variant{.optimizer = OptimizerKind::sgd, .clip = 0.25})),
    [](const auto& one) { return one.param.first; });

TEST(Update, ClippingChangesTheWeightsSoTheTestAboveCanFail) {
  const auto clipped = test::expected_training({.clip = 0.25});
  EXPECT_GT(clipped.steps[0].norm, 0.25);
  EXPECT_NE(clipped.steps[0].weights, test::expected_training({}).steps[0].weights);
}

TEST(Update, FrozenWeightsStayAndTheOthersDoNot) {
  const test::Variant variant{.freeze = Freeze::encoder};
  const auto start = test::small_state(test::small_settings(1, variant)).parameters;
  const auto end = test::expected_training(variant).end.parameters;
  for (const auto& view : start.views()) {
    EXPECT_EQ(std::ranges::equal(start.tensor(view.name), end.tensor(view.name)), !view.predictor)
        << view.name;
  }
}

TEST(Update, RanksMayHaveDifferentNumbersOfThreads) {
  const auto expected = test::expected_training({});
  comm::run_ranks(3, [&](comm::Communicator& world) {
    test::expect_same_training(expected, world, 1 + world.rank(), {}, make_sliced_update);
  });
}

TEST(SlicedUpdate, RanksWithDifferentScalesAllThrow) {
  comm::run_ranks(2, [](comm::Communicator& world) {
    const Settings settings = test::small_settings(1, {});
    ComputeTeam team(settings);
    TrainingState state = test::small_state(settings);
    const auto update = make_sliced_update(team, state, settings, world);
    update->sum(0).start(world.rank() == 0 ? 40 : 32);
    update->close(0, false);
    world.barrier();
    EXPECT_THROW(update->reduce(1), base::InternalError);
    world.barrier();
  });
}

TEST(SlicedUpdate, AStepWithoutMicroBatchesIsOneOfAZeroGradient) {
  const Settings settings = test::small_settings(2, {});
  ComputeTeam team(settings);
  TrainingState state = test::small_state(settings);
  TrainingState expected = test::small_state(settings);
  const auto self = comm::make_self_communicator();
  const auto update = make_sliced_update(team, state, settings, *self);
  for (int thread = 0; thread < 2; ++thread) {
    update->sum(thread).start(40);
    update->close(thread, false);
  }
  EXPECT_EQ(update->reduce(1).units, 0);
  EXPECT_EQ(update->apply(1), 0.0);
  Adam adam(expected.parameters, settings.adam, expected.first_moment, expected.second_moment);
  adam.set_steps(expected.adam_steps);
  std::vector<float> zero(expected.first_moment.size());
  adam.step(expected.parameters, zero);
  EXPECT_TRUE(std::ranges::equal(state.parameters.values(), expected.parameters.values()));
}

TEST(Update, RefusesIllegalOptionsOnEveryRank) {
  comm::run_ranks(2, [](comm::Communicator& world) {
    Settings settings = test::small_settings(1, {});
    ComputeTeam team(settings);
    TrainingState state = test::small_state(settings);
    settings.adam.clip = -1;
    EXPECT_THROW(make_sliced_update(team, state, settings, world), base::UsageError);
    EXPECT_THROW(test::whole_and_exact(team, state, settings, world), base::UsageError);
  });
}

}  // namespace
}  // namespace mgrn::train
