// SPDX-License-Identifier: Apache-2.0
// What becomes of a run when one rank fails: all leave together, with the right exit code, one message, and
// the rank's name.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "faults/faulty_run.hpp"
#include "program/run_files.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using namespace mgrn::test;

// ---- errors on one rank ------------------------------------------------------------------------------

struct Failure {
  const char* name;
  const char* fault;
  int code;
  const char* message;
  const char* threads;
};

class FailingRank : public testing::TestWithParam<Failure> {};

TEST_P(FailingRank, EndsAllWithOneMessageThatNamesIt) {
  const auto& [name, fault, code, message, threads] = GetParam();
  const TemporaryDirectory folder;
  const auto arguments = drill(folder / "run", {{"--train.threads", threads}});
  const ProgramResult result = run_faulty(fault, arguments, 3);
  EXPECT_EQ(result.code, code) << result.errors;
  EXPECT_EQ(times_in(result.errors, "error: "), 1) << result.errors;
  EXPECT_EQ(times_in(result.errors, message), 1) << result.errors;
  EXPECT_FALSE(fs::exists(folder / "run" / "result.json"));
  // What is on disk is good: the run goes on and ends as if nothing had been.
  const ProgramResult again = run_faulty("", drill(folder / "run"), 2);
  ASSERT_EQ(again.code, 0) << again.errors;
  EXPECT_EQ(times_in(again.errors, "going on after step"), 1) << again.errors;
  expect_equal_runs(undisturbed_run(), folder / "run", name);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, FailingRank,
    testing::Values(Failure{"exception", "1:3:step:throw", 70, "error: a fault at site step (rank 1)", "1"},
                    Failure{"exception_while_computing", "2:3:compute:throw", 70,
                            "error: a fault at site compute (rank 2)", "1"},
                    Failure{"no_memory", "1:3:step:bad_alloc", 70, "error: out of memory (rank 1)", "1"},
                    Failure{"no_memory_in_a_thread", "0:3:compute:bad_alloc", 70,
                            "error: out of memory (rank 0)", "2"},
                    Failure{"exception_in_a_thread", "1:3:compute:throw", 70,
                            "error: a fault at site compute (rank 1)", "2"},
                    Failure{"exception_before_a_checkpoint", "0:3:save:throw", 70,
                            "error: a fault at site save (rank 0)", "1"},
                    // The others wait in the sum already and cannot be told.
                    Failure{"exception_before_the_sum", "1:3:reduce:throw", 70,
                            "error: a fault at site reduce (rank 1)", "1"},
                    Failure{"communication", "1:40:collective:fail", 76,
                            "error: a fault in collective 40 (rank 1)", "1"}),
    [](const auto& failure) { return std::string(failure.param.name); });

// ---- numbers that are none ---------------------------------------------------------------------------

TEST(NonFiniteGradient, OfOneRankSkipsTheStepOnAll) {
  for (const std::string what : {"nan", "inf"}) {
    const TemporaryDirectory folder;
    const ProgramResult result = run_faulty("1:4:gradient:" + what, drill(folder / "run"), 2);
    ASSERT_EQ(result.code, 0) << result.errors;
    EXPECT_EQ(times_in(result.errors, "step 4 is skipped: "), 1) << result.errors;
    const auto json = nlohmann::json::parse(content(folder / "run" / "result.json"));
    EXPECT_EQ(json.at("skipped_steps"), 1);
    EXPECT_EQ(json.at("steps"), kSteps);
  }
}

TEST(NonFiniteGradient, InEveryStepEndsTheRunWithExitCode77) {
  const TemporaryDirectory folder;
  const ProgramResult result = run_faulty("1:*:gradient:nan", drill(folder / "run"), 2);
  EXPECT_EQ(result.code, 77) << result.errors;
  EXPECT_EQ(times_in(result.errors, "error: training produced non-finite gradients"), 1) << result.errors;
}

// ---- ranks that do not come --------------------------------------------------------------------------

TEST(StoppedRank, IsNamedWithinTheLimitWithHostAndCollective) {
  const TemporaryDirectory folder;
  const ProgramResult result =
      run_faulty("1:5:compute:stop", drill(folder / "run", {{"--collective-timeout", "3"}}), 3);
  EXPECT_EQ(result.code, 76) << result.errors;
  EXPECT_EQ(times_in(result.errors, "error: all_reduce of 4 int64 (maximum), number "), 1) << result.errors;
  EXPECT_EQ(times_in(result.errors, "got rank 1 on " + host() + " does not answer\n"), 1) << result.errors;
  const std::string table = content(folder / "run" / "collectives.txt");
  EXPECT_EQ(times_in(table, ", in the last of these"), 2) << table;
  EXPECT_EQ(times_in(table, "not ended"), 2) << table;
  const ProgramResult again = run_faulty("", drill(folder / "run"), 3);
  ASSERT_EQ(again.code, 0) << again.errors;
  expect_equal_runs(undisturbed_run(), folder / "run", "stopped rank");
}

TEST(RankThatLeavesACollectiveOut, IsFoundByComparingOrByTheLimit) {
  // Number 42 is of all ranks, and so are those behind it: what is of fewer cannot be compared with them.
  const TemporaryDirectory folder;
  const ProgramResult limited =
      run_faulty("1:42:collective:skip", drill(folder / "run", {{"--collective-timeout", "3"}}), 2);
  EXPECT_EQ(limited.code, 76) << limited.errors;
  EXPECT_GE(times_in(limited.errors, "error: "), 1) << limited.errors;
  const TemporaryDirectory other;
  const ProgramResult compared =
      run_faulty("1:42:collective:skip",
                 drill(other / "run", {{"--collective-timeout", "3"}, {"--compare-collectives", ""}}), 2);
  EXPECT_EQ(compared.code, 76) << compared.errors;
  EXPECT_EQ(times_in(compared.errors,
                     "error: ranks entered different collectives (rank 1): expected as on rank 0 "),
            1)
      << compared.errors;
}

TEST(ComparedCollectives, OfAWholeRunFitTogetherAndChangeNothing) {
  const TemporaryDirectory folder;
  const ProgramResult result = run_faulty("", drill(folder / "run", {{"--compare-collectives", ""}}), 3);
  ASSERT_EQ(result.code, 0) << result.errors;
  expect_equal_runs(undisturbed_run(), folder / "run", "compared");
}

TEST(SlowRank, IsWarnedOfOnceByItsNumber) {
  const TemporaryDirectory folder;
  const auto arguments = drill(folder / "run", {{"--train.checkpoint_every", "0"}, {"--train.epochs", "12"}});
  const ProgramResult result = run_faulty("2:*:compute:slow:20", arguments, 3);
  ASSERT_EQ(result.code, 0) << result.errors;
  EXPECT_EQ(times_in(result.errors, "is slow and makes the others wait"), 1) << result.errors;
  EXPECT_EQ(times_in(result.errors, "warning: rank 2 is slow"), 1) << result.errors;
}

TEST(RanksOfOnePace, AreNotWarnedOf) {
  const TemporaryDirectory folder;
  const auto arguments = drill(folder / "run", {{"--train.checkpoint_every", "0"}, {"--train.epochs", "12"}});
  const ProgramResult result = run_faulty("*:*:compute:slow:20", arguments, 3);
  ASSERT_EQ(result.code, 0) << result.errors;
  EXPECT_EQ(times_in(result.errors, "is slow"), 0) << result.errors;
}

TEST(FaultPlan, ThatNamesNoFaultIsRefused) {
  const TemporaryDirectory folder;
  for (const char* fault :
       {"1:2:compute", "x:2:compute:kill", "1:2:nowhere:kill", "1:2:compute:nan", "1:2:step:skip"}) {
    const ProgramResult result = run_faulty(fault, drill(folder / "run"), 1);
    EXPECT_EQ(result.code, 64) << fault << result.errors;
    EXPECT_EQ(times_in(result.errors, "MGRN_FAULT names no fault"), 1) << result.errors;
  }
}

}  // namespace
