// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <mutex>

#include "comm/made_up_nodes.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/gpu_binding.hpp"
#include "multigrnformer/comm/thread_world.hpp"

namespace mgrn::comm {
namespace {

using Uuids = std::vector<std::string>;

/// Device and UUID of each rank; `visible` by rank.
std::vector<std::pair<int, std::string>> bound(const std::vector<Uuids>& visible,
                                               GpuSharing sharing = GpuSharing::refused) {
  std::vector<std::pair<int, std::string>> all(visible.size());
  run_ranks(static_cast<int>(visible.size()), [&](Communicator& world) {
    const auto rank = static_cast<std::size_t>(world.rank());
    const GpuBinding mine = bind_gpu(world, visible[rank], sharing);
    all[rank] = {mine.device, mine.uuid};
  });
  return all;
}

std::string refusal(const std::vector<Uuids>& visible) {
  try {
    bound(visible);
  } catch (const base::UsageError& error) {
    EXPECT_EQ(error.text().file, "train.device");
    EXPECT_FALSE(error.text().hint.empty());
    return error.what();
  }
  return "accepted";
}

using Bound = std::vector<std::pair<int, std::string>>;

TEST(GpuBinding, WhereAllSeeAllTheRankOnTheNodeIsTheNumber) {
  const Uuids all = {"GPU-a", "GPU-b", "GPU-c"};
  EXPECT_EQ(bound({all, all, all}), (Bound{{0, "GPU-a"}, {1, "GPU-b"}, {2, "GPU-c"}}));
  EXPECT_EQ(bound({all}), (Bound{{0, "GPU-a"}}));
}

TEST(GpuBinding, WhereEachSeesOneOfItsOwnItIsNumberZero) {
  EXPECT_EQ(bound({{"GPU-c"}, {"GPU-a"}, {"GPU-b"}}), (Bound{{0, "GPU-c"}, {0, "GPU-a"}, {0, "GPU-b"}}));
}

TEST(GpuBinding, GpusAreKnownByTheirUuidNotTheirNumber) {
  // Two ranks see the same two GPUs, in another order.
  EXPECT_EQ(bound({{"GPU-a", "GPU-b"}, {"GPU-a", "GPU-b"}}), (Bound{{0, "GPU-a"}, {1, "GPU-b"}}));
  EXPECT_EQ(bound({{"GPU-a", "GPU-b"}, {"GPU-b", "GPU-a"}}), (Bound{{0, "GPU-a"}, {0, "GPU-b"}}));
  EXPECT_EQ(bound({{"GPU-b", "GPU-a"}, {"GPU-b", "GPU-a"}}), (Bound{{0, "GPU-b"}, {1, "GPU-a"}}));
}

TEST(GpuBinding, ASecondRankOnAGpuIsRefusedWithItsRank) {
  const std::string one_for_two = refusal({{"GPU-a"}, {"GPU-a"}});
  EXPECT_NE(one_for_two.find("there is no GPU left for this rank"), std::string::npos) << one_for_two;
  EXPECT_NE(one_for_two.find("(rank 1, file train.device)"), std::string::npos) << one_for_two;
  EXPECT_NE(one_for_two.find("got 1 GPU that it sees"), std::string::npos) << one_for_two;
  const Uuids two = {"GPU-a", "GPU-b"};
  EXPECT_NE(refusal({two, two, two}).find("each of the host's 3 ranks, got 2 GPUs"), std::string::npos)
      << refusal({two, two, two});
}

TEST(GpuBinding, ARankWithoutAGpuIsRefused) {
  EXPECT_NE(refusal({{"GPU-a"}, {}}).find("there is no GPU for this rank"), std::string::npos);
}

TEST(GpuBinding, SharedGpusAreTakenInTurnOnceNoneIsFree) {
  const Uuids two = {"GPU-a", "GPU-b"};
  EXPECT_EQ(bound({two, two, two, two}, GpuSharing::allowed),
            (Bound{{0, "GPU-a"}, {1, "GPU-b"}, {0, "GPU-a"}, {1, "GPU-b"}}));
  EXPECT_EQ(bound({{"GPU-a"}, {"GPU-a"}}, GpuSharing::allowed), (Bound{{0, "GPU-a"}, {0, "GPU-a"}}));
}

TEST(GpuBinding, OneGpuSeenFromTwoNodesIsRefusedOnEveryRank) {
  std::mutex mutex;
  std::vector<std::string> messages;
  run_ranks(3, [&](Communicator& world) {
    test::MadeUpNodes apart(world, 1);
    try {
      bind_gpu(apart, {world.rank() == 1 ? "GPU-b" : "GPU-a"}, GpuSharing::refused);
    } catch (const base::UsageError& error) {
      const std::lock_guard lock(mutex);
      messages.push_back(error.text().got);
    }
  });
  EXPECT_EQ(messages, std::vector<std::string>(3, "GPU-a for ranks 0 and 2"));
}

}  // namespace
}  // namespace mgrn::comm
