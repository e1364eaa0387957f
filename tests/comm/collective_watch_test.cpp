// SPDX-License-Identifier: Apache-2.0
// The watch alone, with a channel that brings what a test wants and a rank that waits as a test wants.
#include "comm/collective_watch.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "comm/collective_record.hpp"

namespace mgrn::comm {
namespace {

CollectiveRecord record_of(std::uint64_t sequence) {
  CollectiveRecord record{.sequence = sequence,
                          .count = 10,
                          .argument = static_cast<int>(Reduction::sum),
                          .operation = Operation::all_reduce,
                          .element = Element::int64};
  set_communicator_name(record, "world");
  return record;
}

class Silence final : public SideChannel {
 public:
  void send(int, Bytes) override {}
  std::optional<Letter> receive() override { return std::nullopt; }
};

TEST(CollectiveHistory, KeepsTheLast64OldestFirst) {
  CollectiveHistory history;
  EXPECT_TRUE(history.records().empty());
  for (std::uint64_t number = 1; number <= 100; ++number) {
    history.begin(record_of(number));
    if (number < 100) {
      history.end_newest(0.5F);
    }
  }
  const auto records = history.records();
  ASSERT_EQ(records.size(), 64U);
  EXPECT_EQ(records.front().sequence, 37U);
  EXPECT_EQ(records.back().sequence, 100U);
  EXPECT_EQ(records.front().took_s, 0.5F);
  EXPECT_LT(records.back().took_s, 0);
  EXPECT_EQ(describe(records.back()), "all_reduce of 10 int64 (sum), number 100 of world");
}

TEST(CollectiveRecord, ALongCommunicatorNameIsCutNotOverrun) {
  CollectiveRecord record;
  set_communicator_name(record, std::string(100, 'x'));
  EXPECT_EQ(communicator_name(record), std::string(24, 'x'));
}

// Nobody polls: the rank is caught in a call of MPI that never returns.
TEST(CollectiveWatchDeathTest, ARankCaughtInsideMpiIsEndedWithExitCode76) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto caught = [] {
    CollectiveWatch watch(0, {"here", "there"}, std::make_unique<Silence>(), [](base::ExitCode) {});
    watch.configure({.limit_s = 0.1});
    const std::vector<int> members = {0, 1};
    watch.enter(record_of(7), members);
    std::this_thread::sleep_for(std::chrono::seconds(60));
  };
  EXPECT_EXIT(caught(), testing::ExitedWithCode(76),
              "error: all_reduce of 10 int64 \\(sum\\), number 7 of world, did not end, and the library that "
              "carries it does not return");
}

TEST(CollectiveWatchDeathTest, WhoDoesNotAnswerIsNamedAndTheJobEndedByTheWaitingRankItself) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto wait = [] {
    CollectiveWatch watch(0, {"here", "there"}, std::make_unique<Silence>(), [](base::ExitCode code) {
      std::_Exit(static_cast<int>(code) + 100);  // as MPI_Abort would
    });
    watch.configure({.limit_s = 0.1});
    const std::vector<int> members = {0, 1};
    watch.enter(record_of(7), members);
    for (;;) {
      watch.waiting();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  };
  EXPECT_EXIT(wait(), testing::ExitedWithCode(176), "got rank 1 on there does not answer");
}

}  // namespace
}  // namespace mgrn::comm
