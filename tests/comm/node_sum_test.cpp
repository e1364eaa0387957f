// SPDX-License-Identifier: Apache-2.0
// Sums by node, with ranks that are threads and nodes that are made up.
#include "comm/node_sum.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/thread_world.hpp"

namespace mgrn::comm {
namespace {

/// A world whose ranks lie on nodes of `node_ranks` each, the last perhaps of fewer.
class MadeUpNodes final : public Communicator {
 public:
  MadeUpNodes(Communicator& world, int node_ranks) : world_(world), node_ranks_(node_ranks) {}

  int rank() const override { return world_.rank(); }
  int size() const override { return world_.size(); }
  std::string backend() const override { return world_.backend(); }
  void barrier() override { world_.barrier(); }
  void broadcast(std::span<std::byte> bytes, int root) override { world_.broadcast(bytes, root); }
  void all_reduce(std::span<std::int64_t> values, Reduction reduction) override {
    world_.all_reduce(values, reduction);
  }
  void all_reduce(std::span<float> values, Reduction reduction) override {
    world_.all_reduce(values, reduction);
  }
  void all_reduce(std::span<double> values, Reduction reduction) override {
    world_.all_reduce(values, reduction);
  }
  std::vector<Bytes> all_gather(std::span<const std::byte> mine) override { return world_.all_gather(mine); }
  std::vector<Bytes> gather(std::span<const std::byte> mine, int root) override {
    return world_.gather(mine, root);
  }
  std::vector<Bytes> exchange(std::vector<Bytes> to_rank) override {
    return world_.exchange(std::move(to_rank));
  }
  std::unique_ptr<Communicator> split(int group) override { return world_.split(group); }
  std::unique_ptr<Communicator> split_by_node() override { return world_.split(rank() / node_ranks_); }
  SharedMemory share_memory(std::uint64_t bytes) override { return world_.share_memory(bytes); }
  void abort(base::ExitCode code) noexcept override { world_.abort(code); }

 private:
  Communicator& world_;
  int node_ranks_;
};

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
        MadeUpNodes nodes(world, node_ranks);
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
