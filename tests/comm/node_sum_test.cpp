// SPDX-License-Identifier: Apache-2.0
// Sums by node, with ranks that are threads and nodes that are made up.
#include "comm/node_sum.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "comm/made_up_nodes.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/thread_world.hpp"

namespace mgrn::comm {
namespace {

std::vector<std::uint64_t> values_of(int rank, std::size_t count, std::uint64_t round) {
  std::vector<std::uint64_t> values(count);
  base::PhiloxStream random(static_cast<std::uint64_t>(rank), round);
  for (std::uint64_t& value : values) {
    value = random.next_u64();
  }
  return values;
}

TEST(NodeSum, IsTheSumOverAllRanksOnNodesOfAnySize) {
  for (const int ranks : {1, 2, 3, 5}) {
    for (const int node_ranks : {1, 2, 3, 5}) {
      SCOPED_TRACE(std::to_string(ranks) + " ranks, " + std::to_string(node_ranks) + " a node");
      run_ranks(ranks, [&](Communicator& world) {
        test::MadeUpNodes nodes(world, node_ranks);
        NodeSum sum(nodes);
        EXPECT_EQ(sum.pays(), ranks > 1 && node_ranks > 1);
        // Shrinking and growing, fewer lines than ranks, and twice the same without a barrier between.
        std::uint64_t round = 0;
        for (const std::size_t count : {std::size_t{1000}, std::size_t{1000}, std::size_t{7}, std::size_t{1},
                                        std::size_t{0}, std::size_t{20001}}) {
          ++round;
          std::vector<std::uint64_t> expected(count);
          for (int rank = 0; rank < ranks; ++rank) {
            const auto theirs = values_of(rank, count, round);
            for (std::size_t i = 0; i < count; ++i) {
              expected[i] += theirs[i];
            }
          }
          auto values = values_of(world.rank(), count, round);
          sum.add_up(values);
          ASSERT_EQ(values, expected);
        }
      });
    }
  }
}

TEST(NodeSum, WrapsModuloTwoToTheSixtyFourth) {
  run_ranks(3, [](Communicator& world) {
    NodeSum sum(world);
    std::vector<std::uint64_t> values{std::numeric_limits<std::uint64_t>::max(), std::uint64_t{1} << 63};
    sum.add_up(values);
    EXPECT_EQ(values, (std::vector<std::uint64_t>{std::uint64_t{0} - 3, std::uint64_t{1} << 63}));
  });
}

}  // namespace
}  // namespace mgrn::comm
