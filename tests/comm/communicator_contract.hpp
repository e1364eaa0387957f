// SPDX-License-Identifier: Apache-2.0
// What every backend must do. Included by a test binary for each kind (Self and Thread, MPI, NCCL over
// either, on a fake or a real GPU): each instantiates CommunicatorContract with its worlds.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/comm/topology.hpp"

namespace mgrn::comm {

/// A way to run a program on all ranks of a backend. Under MPI the other ranks run it themselves.
struct World {
  std::string name;
  std::function<void(const std::function<void(Communicator&)>&)> run;
  /// Why it cannot run here; empty where it can. Collective.
  std::function<std::string()> missing = [] { return std::string(); };
};

inline void PrintTo(const World& world, std::ostream* out) {
  *out << world.name;
}

class CommunicatorContract : public testing::TestWithParam<World> {
 protected:
  void SetUp() override {
    if (const std::string reason = GetParam().missing(); !reason.empty()) {
      GTEST_SKIP() << reason;
    }
  }
  void on_all_ranks(const std::function<void(Communicator&)>& program) { GetParam().run(program); }
};

inline std::string name_of(const testing::TestParamInfo<World>& info) {
  return info.param.name;
}

// Some bytes that tell sender and receiver apart; sizes differ by rank and some are empty.
inline Bytes letter(int from, int to) {
  const auto length = static_cast<std::size_t>((from * 7 + to * 3) % 5) * 11;
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; ++i) {
    bytes[i] = static_cast<std::byte>((from * 31 + to * 17 + static_cast<int>(i)) & 255);
  }
  return bytes;
}

TEST_P(CommunicatorContract, RanksAreNumberedFromZero) {
  on_all_ranks([](Communicator& world) {
    EXPECT_GE(world.rank(), 0);
    EXPECT_LT(world.rank(), world.size());
    const int mine = world.rank();
    const auto ranks = world.all_gather(std::as_bytes(std::span(&mine, 1)));
    ASSERT_EQ(ranks.size(), static_cast<std::size_t>(world.size()));
    for (int rank = 0; rank < world.size(); ++rank) {
      EXPECT_EQ(from_bytes<int>(ranks[static_cast<std::size_t>(rank)]), std::vector<int>{rank});
    }
  });
}

TEST_P(CommunicatorContract, BroadcastBringsTheRootsContentFromEveryRoot) {
  on_all_ranks([](Communicator& world) {
    for (int root = 0; root < world.size(); ++root) {
      std::vector<double> values(1001, world.rank() == root ? 0.5 + root : -1.0);
      world.broadcast(std::as_writable_bytes(std::span(values)), root);
      EXPECT_EQ(values, std::vector<double>(1001, 0.5 + root));
      EXPECT_EQ(broadcast_text(world, world.rank() == root ? "text of " + std::to_string(root) : "x", root),
                "text of " + std::to_string(root));
    }
    world.broadcast({}, 0);
    EXPECT_EQ(broadcast_text(world, ""), "");
  });
}

TEST_P(CommunicatorContract, AllReduceCombinesEachElementOverTheRanks) {
  on_all_ranks([](Communicator& world) {
    const int size = world.size();
    const auto check = [&](auto zero) {
      using T = decltype(zero);
      const auto fill = [&] {
        std::vector<T> values(257);
        for (std::size_t i = 0; i < values.size(); ++i) {
          // Largest on another rank for every element, negative ones among them; exact in float.
          values[i] = static_cast<T>((static_cast<int>(i) + world.rank() * 3) % size - static_cast<int>(i));
        }
        return values;
      };
      for (const auto reduction : {Reduction::sum, Reduction::maximum, Reduction::minimum}) {
        auto values = fill();
        world.all_reduce(std::span<T>(values), reduction);
        for (std::size_t i = 0; i < values.size(); ++i) {
          T expected{};
          for (int rank = 0; rank < size; ++rank) {
            const auto theirs = static_cast<T>((static_cast<int>(i) + rank * 3) % size - static_cast<int>(i));
            expected = rank == 0                         ? theirs
                       : reduction == Reduction::sum     ? expected + theirs
                       : reduction == Reduction::maximum ? std::max(expected, theirs)
                                                         : std::min(expected, theirs);
          }
          EXPECT_EQ(values[i], expected) << "element " << i;
        }
      }
      world.all_reduce(std::span<T>(), Reduction::sum);
    };
    check(std::int64_t{});
    check(float{});
    check(double{});
  });
}

TEST_P(CommunicatorContract, Int64SumsWrapModuloTwoToThe64) {
  on_all_ranks([](Communicator& world) {
    const std::int64_t large = std::numeric_limits<std::int64_t>::max();
    std::vector<std::int64_t> values{large, large - world.rank(), 1};
    world.all_reduce(std::span<std::int64_t>(values), Reduction::sum);
    const auto size = static_cast<std::uint64_t>(world.size());
    const auto ranks = size * (size - 1) / 2;
    EXPECT_EQ(static_cast<std::uint64_t>(values[0]), size * static_cast<std::uint64_t>(large));
    EXPECT_EQ(static_cast<std::uint64_t>(values[1]), size * static_cast<std::uint64_t>(large) - ranks);
    EXPECT_EQ(values[2], world.size());
    // The extremes keep their sign.
    std::vector<std::int64_t> extremes{world.rank() == 0 ? std::numeric_limits<std::int64_t>::min() : large};
    world.all_reduce(std::span<std::int64_t>(extremes), Reduction::minimum);
    EXPECT_EQ(extremes[0], std::numeric_limits<std::int64_t>::min());
  });
}

// Sums of a gradient's size may take another way than small ones.
TEST_P(CommunicatorContract, SumsOfManyInt64AreExactHoweverOftenTheyFollowOneAnother) {
  on_all_ranks([](Communicator& world) {
    const auto value_of = [](int rank, std::size_t i, std::size_t round) {
      return static_cast<std::int64_t>((static_cast<std::uint64_t>(rank) + 1) * 0x9E3779B97F4A7C15u *
                                       (i + round));
    };
    std::size_t round = 0;
    for (const std::size_t count : {8191, 8192, 50001, 50001, 9000}) {
      ++round;
      std::vector<std::int64_t> values(count);
      for (std::size_t i = 0; i < count; ++i) {
        values[i] = value_of(world.rank(), i, round);
      }
      world.all_reduce(std::span<std::int64_t>(values), Reduction::sum);
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < count; ++i) {
        std::uint64_t expected = 0;
        for (int rank = 0; rank < world.size(); ++rank) {
          expected += static_cast<std::uint64_t>(value_of(rank, i, round));
        }
        wrong += static_cast<std::uint64_t>(values[i]) != expected ? 1 : 0;
      }
      EXPECT_EQ(wrong, 0u) << "of " << count << " on rank " << world.rank();
    }
  });
}

TEST_P(CommunicatorContract, GathersKeepSizesThatDifferAndEmptyParts) {
  on_all_ranks([](Communicator& world) {
    const auto all = world.all_gather(letter(world.rank(), 0));
    EXPECT_EQ(all.size(), static_cast<std::size_t>(world.size()));
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
      EXPECT_EQ(all[rank], letter(static_cast<int>(rank), 0));
    }
    for (int root = 0; root < world.size(); ++root) {
      const auto there = world.gather(letter(world.rank(), root), root);
      EXPECT_EQ(there.size(), world.rank() == root ? all.size() : 0U);
      for (std::size_t rank = 0; rank < there.size(); ++rank) {
        EXPECT_EQ(there[rank], letter(static_cast<int>(rank), root));
      }
    }
    EXPECT_EQ(world.all_gather({}), std::vector<Bytes>(all.size()));
  });
}

TEST_P(CommunicatorContract, ExchangeBringsEachLetterToItsRank) {
  on_all_ranks([](Communicator& world) {
    std::vector<Bytes> to_rank;
    for (int rank = 0; rank < world.size(); ++rank) {
      to_rank.push_back(letter(world.rank(), rank));
    }
    const auto from = world.exchange(to_rank);
    EXPECT_EQ(from.size(), to_rank.size());
    for (std::size_t rank = 0; rank < from.size(); ++rank) {
      EXPECT_EQ(from[rank], letter(static_cast<int>(rank), world.rank()));
    }
    EXPECT_EQ(world.exchange(std::vector<Bytes>(to_rank.size())), std::vector<Bytes>(to_rank.size()));
  });
}

TEST_P(CommunicatorContract, SplitMakesCommunicatorsByGroupInRankOrder) {
  on_all_ranks([](Communicator& world) {
    const int group = world.rank() % 2 == 0 ? -5 : 1000000;  // any number names a group
    const auto part = world.split(group);
    EXPECT_EQ(part->rank(), world.rank() / 2);
    EXPECT_EQ(part->size(), (world.size() + (world.rank() % 2 == 0 ? 1 : 0)) / 2);
    // The two parts work at the same time without meeting.
    std::vector<std::int64_t> sum{world.rank()};
    for (int round = 0; round < (world.rank() % 2 == 0 ? 5 : 3); ++round) {
      sum = {world.rank()};
      part->all_reduce(std::span<std::int64_t>(sum), Reduction::sum);
    }
    std::int64_t expected = 0;
    for (int rank = world.rank() % 2; rank < world.size(); rank += 2) {
      expected += rank;
    }
    EXPECT_EQ(sum[0], expected);
    world.barrier();
  });
}

TEST_P(CommunicatorContract, RanksOfOneHostShareANode) {
  on_all_ranks([](Communicator& world) {
    const auto node = world.split_by_node();
    EXPECT_EQ(node->size(), world.size());
    EXPECT_EQ(node->rank(), world.rank());
    const auto topology = find_topology(world);
    EXPECT_EQ(topology.host, host_name());
    EXPECT_EQ(topology.nodes, 1);
    EXPECT_EQ(topology.node_ranks, world.size());
    EXPECT_EQ(topology.node_rank, world.rank());
  });
}

TEST_P(CommunicatorContract, AWrongRootOrDestinationIsRefusedBeforeAnythingIsSent) {
  on_all_ranks([](Communicator& world) {
    std::vector<std::byte> bytes(3);
    EXPECT_THROW(world.broadcast(bytes, world.size()), base::InternalError);
    EXPECT_THROW(world.broadcast(bytes, -1), base::InternalError);
    EXPECT_THROW(world.gather(bytes, world.size()), base::InternalError);
    EXPECT_THROW(world.exchange(std::vector<Bytes>(static_cast<std::size_t>(world.size()) + 1)),
                 base::InternalError);
    world.barrier();
  });
}

TEST_P(CommunicatorContract, MemoryOfANodeIsOneForAllItsRanks) {
  on_all_ranks([](Communicator& world) {
    auto node = world.split_by_node();
    const auto size = static_cast<std::size_t>(node->size());
    const auto rank = static_cast<std::size_t>(node->rank());
    constexpr std::size_t kEach = 100003;  // pages shared by two ranks
    const SharedMemory memory = node->share_memory(size * kEach);
    EXPECT_EQ(memory.bytes().size(), size * kEach);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.bytes().data()) % 4096, 0U);
    std::fill_n(memory.bytes().begin() + static_cast<std::ptrdiff_t>(rank * kEach), kEach,
                static_cast<std::byte>(rank + 1));
    node->barrier();
    const SharedMemory kept = memory;
    node.reset();  // the memory does not need it any longer
    for (std::size_t i = 0; i < kept.bytes().size(); ++i) {
      if (kept.bytes()[i] != static_cast<std::byte>(i / kEach + 1)) {
        ADD_FAILURE() << "byte " << i << " is not what its rank wrote";
        break;
      }
    }
    world.barrier();
  });
}

TEST_P(CommunicatorContract, MemoryOfANodeMayBeEmptyAndSeveralPiecesAreApart) {
  on_all_ranks([](Communicator& world) {
    const auto node = world.split_by_node();
    EXPECT_TRUE(node->share_memory(0).bytes().empty());
    const SharedMemory first = node->share_memory(1);
    const SharedMemory second = node->share_memory(1);
    if (node->rank() == 0) {
      first.bytes()[0] = std::byte{1};
      second.bytes()[0] = std::byte{2};
    }
    node->barrier();
    EXPECT_EQ(first.bytes()[0], std::byte{1});
    EXPECT_EQ(second.bytes()[0], std::byte{2});
    world.barrier();
  });
}

TEST_P(CommunicatorContract, AnErrorOnOneRankIsThrownOnEveryRankWithItsRankAndExitCode) {
  on_all_ranks([](Communicator& world) {
    const int culprit = world.size() - 1;
    bool caught = false;
    try {
      agree(world, [&] {
        if (world.rank() == culprit) {
          throw base::OutputError({.what = "cannot write",
                                   .file = "out.h5",
                                   .expected = "space",
                                   .got = "none",
                                   .hint = "free some space"});
        }
      });
    } catch (const base::OutputError& error) {
      caught = true;
      EXPECT_EQ(error.code(), base::ExitCode::output);
      EXPECT_EQ(error.rank(), culprit);
      EXPECT_EQ(std::string(error.what()),
                "error: cannot write (rank " + std::to_string(culprit) +
                    ", file out.h5): expected space, got none\nhint: free some space");
    }
    EXPECT_TRUE(caught);
    world.barrier();  // the ranks are still in step
  });
}

TEST_P(CommunicatorContract, OfSeveralErrorsTheLowestRanksIsAgreedOn) {
  on_all_ranks([](Communicator& world) {
    std::string message;
    try {
      agree(world, [&] {
        throw base::DataError({.what = "bad " + std::to_string(world.rank()), .hint = "mend it"});
      });
    } catch (const base::DataError& error) {
      message = error.what();
    }
    EXPECT_EQ(message, "error: bad 0 (rank 0)\nhint: mend it");
  });
}

TEST_P(CommunicatorContract, EveryTypeOfErrorArrivesAsItself) {
  on_all_ranks([](Communicator& world) {
    const auto on_last = [&](const std::function<void()>& work) {
      agree(world, [&] {
        if (world.rank() == world.size() - 1) {
          work();
        }
      });
    };
    using base::ErrorText;
    EXPECT_THROW(on_last([] { throw base::UsageError({.what = "e"}); }), base::UsageError);
    EXPECT_THROW(on_last([] { throw base::DataError({.what = "e"}); }), base::DataError);
    EXPECT_THROW(on_last([] { throw base::Stopped({.what = "e"}); }), base::Stopped);
    EXPECT_THROW(on_last([] { throw base::NumericError({.what = "e"}); }), base::NumericError);
    EXPECT_THROW(on_last([] { throw base::CommunicationError({.what = "e"}); }), base::CommunicationError);
    EXPECT_THROW(on_last([] { throw std::runtime_error("e"); }), base::InternalError);
    EXPECT_THROW(on_last([] { throw std::bad_alloc(); }), base::InternalError);
    EXPECT_THROW(on_last([] { throw 5; }), base::InternalError);
    EXPECT_NO_THROW(on_last([] {}));
  });
}

TEST_P(CommunicatorContract, AnErrorAgreedOnTwiceKeepsTheRankItHappenedOn) {
  on_all_ranks([](Communicator& world) {
    std::exception_ptr agreed;
    try {
      agree(world, [&] {
        if (world.rank() == world.size() - 1) {
          throw base::DataError({.what = "bad"});
        }
      });
    } catch (...) {
      agreed = std::current_exception();
    }
    try {
      throw_agreed(world, agreed);
    } catch (const base::Error& error) {
      EXPECT_EQ(error.rank(), world.size() - 1);
    }
  });
}

TEST_P(CommunicatorContract, RequireSameNamesTheFirstLineThatDiffersAndTheRank) {
  on_all_ranks([](Communicator& world) {
    EXPECT_NO_THROW(require_same(world, "the config", "a=1\nb=2\n"));
    const bool odd_one = world.size() > 1 && world.rank() == world.size() - 1;
    std::string message;
    try {
      require_same(world, "the config", odd_one ? "a=1\nb=3\nc=9\n" : "a=1\nb=2\nc=3\n");
    } catch (const base::UsageError& error) {
      message = error.what();
    }
    if (world.size() == 1) {
      EXPECT_EQ(message, "");
    } else {
      EXPECT_EQ(message.substr(0, message.find('\n')),
                "error: the config differs between ranks, in line 2 (rank " +
                    std::to_string(world.size() - 1) + "): expected as on rank 0 \"b=2\", got \"b=3\"");
    }
    // A text that only ends earlier, and one that differs in nothing but its last line break.
    for (const char* other : {"a=1\n", "a=1\nb=2"}) {
      bool refused = false;
      try {
        require_same(world, "the config", odd_one ? other : "a=1\nb=2\n");
      } catch (const base::UsageError&) {
        refused = true;
      }
      EXPECT_EQ(refused, world.size() > 1) << other;
    }
  });
}

}  // namespace mgrn::comm
