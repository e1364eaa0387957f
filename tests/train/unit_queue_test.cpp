// SPDX-License-Identifier: Apache-2.0
// Every micro-batch of a step is handed out once, whoever comes first; ranks are threads here.
#include "train/unit_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>
#include <vector>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/thread_world.hpp"

namespace mgrn::train {
namespace {

struct Case {
  int ranks, nodes, threads;
  std::uint64_t units;
  int slow = -1;  ///< this rank takes its time
};

/// What each worker (thread * ranks + rank) was given in each of two steps, in order.
using Given = std::vector<std::vector<std::uint64_t>>;

std::array<Given, 2> hand_out(const Case& at) {
  const auto workers = static_cast<std::size_t>(at.ranks * at.threads);
  std::array<Given, 2> given{Given(workers), Given(workers)};
  std::vector<std::uint64_t> taken(static_cast<std::size_t>(at.nodes));
  comm::run_ranks(at.ranks, [&](comm::Communicator& world) {
    const int rank = world.rank();
    const auto node = world.split(rank % at.nodes);
    UnitQueue queue(world, *node, at.threads, taken[static_cast<std::size_t>(rank % at.nodes)]);
    for (Given& step : given) {
      std::vector<std::thread> threads;
      for (int thread = 0; thread < at.threads; ++thread) {
        threads.emplace_back([&, thread] {
          auto& mine = step[static_cast<std::size_t>(thread * at.ranks + rank)];
          base::PhiloxStream random(static_cast<std::uint64_t>(rank), static_cast<std::uint64_t>(thread));
          while (const auto unit = queue.next(thread, at.units)) {
            mine.push_back(*unit);
            const auto pause = rank == at.slow ? 20'000 : random.below(50);
            std::this_thread::sleep_for(std::chrono::microseconds(pause));
          }
          queue.close(thread);
        });
      }
      for (auto& thread : threads) {
        thread.join();
      }
      world.barrier();
      if (node->rank() == 0) {
        queue.restart();
      }
      world.barrier();
    }
  });
  return given;
}

std::vector<std::uint64_t> all_of(const Given& given) {
  std::vector<std::uint64_t> all;
  for (const auto& mine : given) {
    all.insert(all.end(), mine.begin(), mine.end());
  }
  std::sort(all.begin(), all.end());
  return all;
}

TEST(UnitQueue, HandsOutEachMicroBatchOnceInEveryStep) {
  for (const int ranks : {1, 2, 3, 4}) {
    for (const int nodes : {1, 2, 3}) {
      for (const int threads : {1, 2}) {
        for (const std::uint64_t units : {1u, 3u, 8u, 61u}) {
          if (nodes > ranks) {
            continue;
          }
          std::vector<std::uint64_t> expected(units);
          for (std::uint64_t unit = 0; unit < units; ++unit) {
            expected[unit] = unit;
          }
          for (const Given& step : hand_out({ranks, nodes, threads, units})) {
            ASSERT_EQ(all_of(step), expected) << ranks << " ranks on " << nodes << " nodes";
          }
        }
      }
    }
  }
}

TEST(UnitQueue, EachThreadsFirstIsItsOwn) {
  for (const int nodes : {1, 2}) {
    for (const Given& step : hand_out({4, nodes, 2, 20})) {
      for (std::size_t worker = 0; worker < step.size(); ++worker) {
        ASSERT_FALSE(step[worker].empty());
        EXPECT_EQ(step[worker].front(), worker);
      }
    }
  }
}

TEST(UnitQueue, WhoIsSlowGetsLess) {
  const Given step = hand_out({.ranks = 3, .nodes = 1, .threads = 1, .units = 90, .slow = 1})[1];
  EXPECT_LT(step[1].size(), 15u) << "a fixed share is 30";
  EXPECT_EQ(all_of(step).size(), 90u);
}

TEST(UnitQueue, NodesHaveFixedSharesByTheirRanks) {
  // Ranks 0, 2 are one node, rank 1 another: it has every third micro-batch, however slow.
  for (const Given& step : hand_out({.ranks = 3, .nodes = 2, .threads = 1, .units = 30, .slow = 1})) {
    EXPECT_EQ(step[1], (std::vector<std::uint64_t>{1, 4, 7, 10, 13, 16, 19, 22, 25, 28}));
  }
}

}  // namespace
}  // namespace mgrn::train
