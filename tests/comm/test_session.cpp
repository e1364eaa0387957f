// SPDX-License-Identifier: Apache-2.0
// A session from outside: what a script that starts the program sees.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "comm/probe_run.hpp"
#include "support/temporary_directory.hpp"
#include "support/time_limit.hpp"

namespace {

using namespace mgrn::test;

std::string content(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
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

// ---- collectives that do not end ---------------------------------------------------------------------

constexpr double kLimit = 3;  // as session_probe.cpp sets it; half of it is the grace

TEST(CollectiveLimit, AStoppedRankIsNamedWithItsHostAndTheCollective) {
  const TemporaryDirectory folder;
  const auto outcome = on_ranks(3, "wait:stopped " + folder.path().string());
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_EQ(outcome.times("error: "), 1) << outcome.output;
  EXPECT_EQ(outcome.times("error: all_reduce of 10 int64 (sum), number 101 of world, did not end within 3 s"),
            1)
      << outcome.output;
  EXPECT_EQ(outcome.times("expected 3 ranks in it, got rank 2 on " + host() + " does not answer\nhint: "), 1)
      << outcome.output;
  EXPECT_GE(outcome.times(" waits since "), 1) << outcome.output;
  EXPECT_GE(outcome.seconds, kLimit);
  EXPECT_LT(outcome.seconds, time_limit(15));

  // The last 64 collectives of both ranks that answered.
  const std::string table = content(folder / "collectives.txt");
  EXPECT_EQ(times_in(table, "rank 2 on " + host() + " does not answer"), 1) << table;
  for (const char* rank : {"rank 0 on ", "rank 1 on "}) {
    EXPECT_EQ(times_in(table, rank + host() + ", in the last of these"), 1) << table;
  }
  EXPECT_EQ(times_in(table, "of world"), 2 * 64) << table;
  EXPECT_EQ(times_in(table, "(maximum), number 38 of world"), 2) << table;
  EXPECT_EQ(times_in(table, "(maximum), number 37 of world"), 0) << table;
  EXPECT_EQ(times_in(table, "not ended   all_reduce of 10 int64 (sum), number 101 of world"), 2) << table;
}

TEST(CollectiveLimit, WithoutAFolderTheLastCollectivesGoToStderr) {
  const auto outcome = on_ranks(2, "wait:stopped");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_EQ(outcome.times("the last collectives of each rank:\n"), 1) << outcome.output;
  EXPECT_EQ(outcome.times("(maximum), number 38 of world"), 1) << outcome.output;
}

TEST(CollectiveLimit, OfAPartOnlyThePartsRanksAreExpected) {
  const auto outcome = on_ranks(4, "wait:stopped-in-part");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_EQ(outcome.times("error: barrier, number 1 of world.101:1, did not end within 3 s (rank "), 1)
      << outcome.output;
  EXPECT_EQ(outcome.times("expected 3 ranks in it, got rank 3 on " + host() + " does not answer\n"), 1)
      << outcome.output;
}

TEST(CollectiveLimit, ARankInAnotherCollectiveIsNamedWithIt) {
  const auto outcome = on_ranks(2, "wait:elsewhere");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  const bool seen_by_0 =
      outcome.times("got rank 1 on " + host() + " is in barrier, number 1 of world.101:0\nhint") == 1;
  const bool seen_by_1 = outcome.times("got rank 0 on " + host() +
                                       " is in all_reduce of 10 int64 (sum), number 102 of world\nhint") == 1;
  EXPECT_TRUE(seen_by_0 || seen_by_1) << outcome.output;  // both, where both come to the limit at once
}

// MPI itself may notice, and then says so at once; it may also give no end.
TEST(CollectiveLimit, DifferentCollectivesEndWithExitCode76InAnyCase) {
  const auto outcome = on_ranks(2, "wait:mixed");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_GE(outcome.times("number 101 of world"), 1) << outcome.output;
  EXPECT_LT(outcome.seconds, time_limit(15));
}

TEST(CollectiveLimit, ARankThatHasEndedIsNamed) {
  const auto outcome = on_ranks(2, "wait:ended");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_EQ(outcome.times("got rank 1 on " + host() + " has come to the end of its program with exit code 0"),
            1)
      << outcome.output;
}

TEST(CollectiveLimit, HoldsWhereMpiCannotBePolled) {
  const auto outcome = on_ranks(3, "wait:making");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_EQ(outcome.times("error: split, number 101 of world, did not end within 3 s"), 1) << outcome.output;
  EXPECT_EQ(outcome.times("got rank 2 on " + host() + " does not answer"), 1) << outcome.output;
}

// Nobody can be asked, so nobody is named; but nobody waits for ever.
TEST(CollectiveLimit, HoldsForCollectiveFileAccess) {
  const auto outcome = on_ranks(3, "wait:file");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_GE(outcome.times("error: file access, number 101 of world, did not end"), 1) << outcome.output;
  EXPECT_LT(outcome.seconds, time_limit(29));
}

TEST(CollectiveLimit, ARankThatComesWithinTheGraceIsWaitedFor) {
  const auto outcome = on_ranks(2, "wait:late");
  EXPECT_EQ(outcome.code, 0) << outcome.output;
  EXPECT_EQ(outcome.times("done"), 2) << outcome.output;
  EXPECT_EQ(outcome.times("warning: rank 0 waits since"), 1) << outcome.output;
  EXPECT_EQ(outcome.times("warning: rank 0: barrier, number 101 of world has ended after"), 1)
      << outcome.output;
}

TEST(ComparedCollectives, TheFirstDifferenceIsReportedAtOnce) {
  const auto outcome = on_ranks(3, "wait:compared");
  EXPECT_EQ(outcome.code, 76) << outcome.output;
  EXPECT_EQ(outcome.times("error: ranks entered different collectives (rank 2)"), 1) << outcome.output;
  EXPECT_EQ(outcome.times("expected as on rank 0 all_reduce of 10 int64 (sum), number 101 of world, "
                          "got barrier, number 101 of world"),
            1)
      << outcome.output;
  EXPECT_EQ(outcome.times("MPI_ABORT"), 0) << outcome.output;
}

TEST(Session, AbortGivesItsExitCode) {
  const auto outcome = on_ranks(2, "abort");
  EXPECT_GE(outcome.times("waiting"), 1) << outcome.output;
  EXPECT_EQ(outcome.code, 77) << outcome.output;
}

}  // namespace
