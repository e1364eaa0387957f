// SPDX-License-Identifier: Apache-2.0
// Ranks that wait for one another over NCCL are watched like those that wait over MPI.
#include <gtest/gtest.h>

#include <string>

#include "comm/probe_run.hpp"
#include "support/time_limit.hpp"

namespace {

using namespace mgrn::test;

TEST(NcclSession, EndsInOrder) {
  for (const int ranks : {1, 2, 3}) {
    const auto outcome = on_ranks(ranks, "");
    EXPECT_EQ(outcome.code, 0) << outcome.output;
    EXPECT_EQ(outcome.times("ended"), ranks) << outcome.output;
  }
}

// While it waits for NCCL a rank asks the others, and those that wait too answer.
TEST(NcclSession, AStoppedRankIsNamedWithItsHostAndTheCollective) {
  const auto outcome = on_ranks(3, "stopped");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_EQ(outcome.times("error: all_reduce over NCCL of 10 int64 (sum), number "), 1) << outcome.output;
  EXPECT_EQ(outcome.times("did not end within 3 s"), 1) << outcome.output;
  EXPECT_EQ(outcome.times("expected 3 ranks in it, got rank 2 on " + host() + " does not answer\nhint: "), 1)
      << outcome.output;
  EXPECT_EQ(outcome.times("error: "), 1) << outcome.output;
  EXPECT_LT(outcome.seconds, time_limit(15));
}

TEST(NcclSession, ARankThatIsInACollectiveOfMpiIsNamedWithIt) {
  const auto outcome = on_ranks(2, "elsewhere");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  const int seen_over_nccl = outcome.times("got rank 1 on " + host() + " is in barrier, number ");
  const int seen_over_mpi =
      outcome.times("got rank 0 on " + host() + " is in all_reduce over NCCL of 10 int64 (sum), number ");
  EXPECT_GE(seen_over_nccl + seen_over_mpi, 1) << outcome.output;
  EXPECT_EQ(outcome.times("does not answer"), 0) << outcome.output;
}

TEST(NcclSession, AnOperationThatHangsOnAllRanksIsNoRanksFault) {
  const auto outcome = on_ranks(2, "hanging");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_EQ(outcome.times("got all of them in it and answering, but no end\n"), 1) << outcome.output;
}

TEST(NcclSession, ComparedCollectivesIncludeThoseOverNccl) {
  const auto outcome = on_ranks(3, "compared");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_EQ(outcome.times("error: ranks entered different collectives (rank 2)"), 1) << outcome.output;
  EXPECT_EQ(outcome.times("expected as on rank 0 all_reduce over NCCL of 10 int64 (sum)"), 1)
      << outcome.output;
}

// The ranks that connect in vain do not hide the cause.
TEST(NcclSession, AConnectionThatFailsOnOneRankIsThatRanksError) {
  const auto outcome = on_ranks(3, "connecting");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_EQ(
      outcome.times("error: ncclCommInitRankConfig failed on GPU 2 (rank 2): got remote process exited"), 1)
      << outcome.output;
  EXPECT_EQ(outcome.times("\nhint: "), 1) << outcome.output;
}

// A thread inside ncclCommAbort for ever holds what the libraries' ends would wait for.
TEST(NcclSession, AnAbortThatHangsDoesNotKeepTheProcessFromEnding) {
  const auto outcome =
      start("timeout -k 2 " + std::to_string(time_limit(30)) + " " MGRN_PROBE " hanging-abort");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_EQ(outcome.times("warning: ncclCommAbort does not end on GPU 0"), 1) << outcome.output;
  EXPECT_EQ(outcome.times("error: ncclAllReduce over NCCL did not end"), 1) << outcome.output;
  EXPECT_EQ(outcome.times("ended\n"), 1) << outcome.output;
  EXPECT_LT(outcome.seconds, time_limit(15));
}

}  // namespace
