// SPDX-License-Identifier: Apache-2.0
// A session from outside: what a script that starts the program sees.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>

#include "support/time_limit.hpp"

namespace {

using mgrn::test::time_limit;

struct Outcome {
  int code = -1;       // exit code, or 128 + signal
  std::string output;  // stdout and stderr
  double seconds = 0;

  int times(const std::string& text) const {
    int count = 0;
    for (auto at = output.find(text); at != std::string::npos; at = output.find(text, at + 1)) {
      ++count;
    }
    return count;
  }
};

Outcome start(const std::string& command) {
  Outcome outcome;
  const auto begin = std::chrono::steady_clock::now();
  FILE* pipe = popen(("exec 2>&1; " + command).c_str(), "r");
  if (pipe == nullptr) {
    return outcome;
  }
  std::array<char, 4096> block{};
  while (const auto length = fread(block.data(), 1, block.size(), pipe)) {
    outcome.output.append(block.data(), length);
  }
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return outcome;
}

// A hang must fail the test, not outlive it.
Outcome on_ranks(int ranks, const std::string& way) {
  return start("timeout -k 2 " + std::to_string(time_limit(30)) +
               " " MGRN_MPIEXEC " " MGRN_MPIEXEC_RANKS " " + std::to_string(ranks) + " " MGRN_PROBE " " +
               way);
}

TEST(Session, AProgramRunAloneIsOneRankAndDoesNotStartMpi) {
  const auto outcome = start(MGRN_PROBE " who");
  EXPECT_EQ(outcome.output, "self 0 of 1, MPI not started\n");
  EXPECT_EQ(outcome.code, 0);
}

TEST(Session, MpiIsStartedAloneWhenAskedForWithoutANoise) {
  const auto outcome = start(MGRN_PROBE " who always");
  EXPECT_EQ(outcome.output, "mpi 0 of 1, MPI started\n");
  EXPECT_EQ(outcome.code, 0);
}

TEST(Session, TheLaunchersRanksFormTheWorld) {
  const auto outcome = on_ranks(3, "who");
  EXPECT_EQ(outcome.code, 0) << outcome.output;
  for (const char* line : {"mpi 0 of 3", "mpi 1 of 3", "mpi 2 of 3"}) {
    EXPECT_EQ(outcome.times(line), 1) << outcome.output;
  }
}

TEST(Session, SeveralSlurmTasksWithoutMpiAreRefused) {
  const auto outcome = start("SLURM_STEP_NUM_TASKS=4 " MGRN_PROBE " who");
  EXPECT_EQ(outcome.code, 76);
  EXPECT_EQ(outcome.times("hint: start with `srun --mpi=pmix`"), 1) << outcome.output;
}

TEST(Session, ALauncherOfAnotherMpiIsRefused) {
  // What a foreign launcher leaves: four ranks promised, no connection among them.
  const auto outcome = start("PMI_SIZE=4 " MGRN_PROBE " who");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_EQ(outcome.times("do not understand each other"), 1) << outcome.output;
}

TEST(Session, AnErrorOfAProgramRunAloneGivesItsExitCodeAndOneMessage) {
  const auto outcome = start(MGRN_PROBE " alone");
  EXPECT_EQ(outcome.code, 65);
  EXPECT_EQ(outcome.output, "error: matrix is wrong (file in.h5)\nhint: repair it\n");
}

TEST(Session, AnAgreedErrorIsReportedOnceWithItsRankAndExitCode) {
  const auto outcome = on_ranks(3, "agreed");
  EXPECT_EQ(outcome.code, 65) << outcome.output;
  EXPECT_EQ(outcome.times("error: matrix is wrong (rank 2, file in.h5)"), 1) << outcome.output;
  EXPECT_EQ(outcome.times("MPI_ABORT"), 0) << outcome.output;
}

TEST(Session, TheSameErrorOnEveryRankIsReportedOnceAndEndsTidily) {
  const auto outcome = on_ranks(3, "everywhere");
  EXPECT_EQ(outcome.code, 64) << outcome.output;
  EXPECT_EQ(outcome.times("error: matrix is wrong"), 1) << outcome.output;
  EXPECT_EQ(outcome.times("MPI_ABORT"), 0) << outcome.output;
}

TEST(Session, AnErrorThatOneRankDidNotShareEndsTheOthersInsteadOfHanging) {
  const auto outcome = on_ranks(3, "alone");
  EXPECT_GE(outcome.times("waiting"), 1) << outcome.output;
  EXPECT_EQ(outcome.code, 65) << outcome.output;
  EXPECT_EQ(outcome.times("error: matrix is wrong (rank 2, file in.h5)"), 1) << outcome.output;
  EXPECT_LT(outcome.seconds, time_limit(15));
}

TEST(Session, AnErrorInAPartOfTheWorldEndsTheOthers) {
  const auto outcome = on_ranks(3, "part");
  EXPECT_EQ(outcome.code, 77) << outcome.output;
}

TEST(Session, AnErrorAfterTheOthersHaveEndedKeepsItsExitCode) {
  const auto outcome = on_ranks(2, "alone-late");
  EXPECT_EQ(outcome.code, 70) << outcome.output;
  EXPECT_EQ(outcome.times("error: matrix is wrong (rank 1)"), 1) << outcome.output;
}

TEST(Session, ACodeReturnedByOneRankIsEveryRanksCode) {
  const auto outcome = on_ranks(2, "code");
  EXPECT_EQ(outcome.code, 75) << outcome.output;
  EXPECT_EQ(outcome.times("error:"), 0) << outcome.output;
}

TEST(Session, AnExceptionThatLeavesWithoutRunEndsTheOthers) {
  const auto outcome = on_ranks(2, "unwinding");
  EXPECT_GE(outcome.times("waiting"), 1) << outcome.output;
  EXPECT_NE(outcome.code, 0) << outcome.output;
  EXPECT_LT(outcome.seconds, time_limit(20));
}

TEST(Session, AKilledRankEndsTheOthers) {
  const auto outcome = on_ranks(3, "killed");
  EXPECT_GE(outcome.times("waiting"), 1) << outcome.output;
  EXPECT_NE(outcome.code, 0) << outcome.output;
  EXPECT_LT(outcome.seconds, time_limit(15));
}

TEST(Session, AbortGivesItsExitCode) {
  const auto outcome = on_ranks(2, "abort");
  EXPECT_GE(outcome.times("waiting"), 1) << outcome.output;
  EXPECT_EQ(outcome.code, 77) << outcome.output;
}

}  // namespace
