// SPDX-License-Identifier: Apache-2.0
#include "baselines/trees/target_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include "comm/made_up_nodes.hpp"
#include "multigrnformer/comm/thread_world.hpp"

namespace mgrn::baselines {
namespace {

TEST(TargetQueue, GivesEveryTargetToOneThreadOfOneRankOnAnyNumberOfNodes) {
  std::vector<std::uint32_t> targets(101);
  std::iota(targets.begin(), targets.end(), 1000U);
  for (const int ranks : {1, 2, 3, 5}) {
    for (const int node_ranks : {1, 2, 5}) {
      std::mutex mutex;
      std::vector<std::uint32_t> taken;
      comm::run_ranks(ranks, [&](comm::Communicator& world) {
        comm::test::MadeUpNodes nodes(world, node_ranks);
        TargetQueue queue(targets, nodes);
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 3; ++thread) {
          threads.emplace_back([&] {
            while (const auto target = queue.next()) {
              const std::lock_guard lock(mutex);
              taken.push_back(*target);
            }
          });
        }
        threads.clear();
        EXPECT_FALSE(queue.next().has_value());
        world.barrier();
      });
      std::sort(taken.begin(), taken.end());
      EXPECT_EQ(taken, targets) << ranks << " ranks, " << node_ranks << " a node";
    }
  }
}

TEST(TargetQueue, BeginsWithTheCostliest) {
  comm::run_ranks(2, [](comm::Communicator& world) {
    comm::test::MadeUpNodes nodes(world, 1);
    TargetQueue queue({9, 8, 7}, nodes);
    EXPECT_EQ(queue.next(), world.rank() == 0 ? 9U : 8U);
    world.barrier();
  });
}

}  // namespace
}  // namespace mgrn::baselines
