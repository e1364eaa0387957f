// SPDX-License-Identifier: Apache-2.0
// Runs that are killed or stopped and started again, on the same or another number of ranks, end with the
// bytes of an undisturbed one.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "faults/faulty_run.hpp"
#include "program/run_files.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using namespace mgrn::test;

void expect_finished(const fs::path& run, int ranks, const std::string& what) {
  const ProgramResult again = run_faulty("", drill(run), ranks);
  ASSERT_EQ(again.code, 0) << what << ": " << again.errors;
  expect_equal_runs(undisturbed_run(), run, what);
}

// One run is killed twelve times, in each of its steps, and goes on each time until it is killed in the next.
// First always the first rank, then the others of three; another place in each step.
TEST(KilledRank, InEveryStepOfARun) {
  const std::vector<std::string> sites = {"step", "compute", "reduce", "save", "saved"};
  for (const int ranks : {2, 3}) {
    const TemporaryDirectory folder;
    for (int step = 0; step < kSteps; ++step) {
      const int rank = ranks == 2 ? 0 : 1 + step % 2;
      const std::string& site = sites[static_cast<std::size_t>(step + ranks) % sites.size()];
      // Checkpoints are named by the steps done: step 0 is followed by number 1.
      const int number = site == "save" || site == "saved" ? step + 1 : step;
      const std::string fault = std::to_string(rank) + ":" + std::to_string(number) + ":" + site + ":kill";
      const ProgramResult killed = run_faulty(fault, drill(folder / "run"), ranks);
      EXPECT_NE(killed.code, 0) << fault;
      EXPECT_NE(killed.code, 124) << fault << ": the others did not leave\n" << killed.errors;
      EXPECT_EQ(times_in(killed.errors, "error: "), 0) << fault << ": " << killed.errors;
      EXPECT_FALSE(fs::exists(folder / "run" / "result.json")) << fault;
    }
    expect_finished(folder / "run", 5 - ranks, "killed twelve times on " + std::to_string(ranks) + " ranks");
  }
}

TEST(KilledRank, WhileTestPairsAreScored) {
  const TemporaryDirectory folder;
  const ProgramResult killed = run_faulty("1:12:test:kill", drill(folder / "run"), 2);
  EXPECT_NE(killed.code, 0);
  EXPECT_FALSE(fs::exists(folder / "run" / "result.json"));
  expect_finished(folder / "run", 3, "killed while testing");
}

TEST(StoppedRun, BegunOnOneToFourRanksGoesOnOnOneToFour) {
  for (const int begun : {1, 2, 3, 4}) {
    const TemporaryDirectory folder;
    const ProgramResult stopped = run_faulty("0:6:step:usr1", drill(folder / "run"), begun);
    EXPECT_EQ(stopped.code, 75) << stopped.errors;
    for (const int resumed : {1, 2, 3, 4}) {
      const fs::path copy = folder / ("on" + std::to_string(resumed));
      fs::copy(folder / "run", copy, fs::copy_options::recursive);
      expect_finished(copy, resumed,
                      "begun on " + std::to_string(begun) + ", resumed on " + std::to_string(resumed));
    }
  }
}

// ---- signals -----------------------------------------------------------------------------------------

struct Signals {
  const char* name;
  const char* fault;
  const char* after;  // what the message says
};

class StopSignal : public testing::TestWithParam<Signals> {};

TEST_P(StopSignal, StopsAllRanksAtOnePlaceWithExitCode75) {
  const auto& [name, fault, after] = GetParam();
  const TemporaryDirectory folder;
  const ProgramResult stopped = run_faulty(fault, drill(folder / "run"), 3);
  EXPECT_EQ(stopped.code, 75) << stopped.errors;
  EXPECT_EQ(times_in(stopped.errors, "error: stopped on signal"), 1) << stopped.errors;
  EXPECT_EQ(times_in(stopped.errors, after), 1) << stopped.errors;
  EXPECT_TRUE(fs::exists(folder / "run" / "stopped"));
  EXPECT_FALSE(fs::exists(folder / "run" / "result.json"));
  expect_finished(folder / "run", 2, name);
  EXPECT_FALSE(fs::exists(folder / "run" / "stopped"));
}

INSTANTIATE_TEST_SUITE_P(
    Places, StopSignal,
    testing::Values(Signals{"term_on_one_rank", "2:4:step:term", "after step 5"},
                    Signals{"usr1_on_one_rank", "1:4:compute:usr1", "after step 5"},
                    // After a step's ranks have agreed whether to stop: seen in the next one.
                    Signals{"before_the_sum", "1:4:reduce:term", "after step 6"},
                    Signals{"two_signals_one_after_the_other", "1:4:step:usr1,1:4:reduce:term",
                            "after step 5"},
                    Signals{"two_signals_on_two_ranks", "0:4:step:usr1,2:4:step:term", "after step 5"},
                    Signals{"again_while_saving", "1:4:step:usr1,0:5:save:usr1", "after step 5"},
                    Signals{"while_saving", "0:5:save:term", "after step 6"},
                    Signals{"while_validating", "1:4:validate:usr1", "after step 5"},
                    Signals{"while_scoring", "1:12:test:term", "while scoring pairs"}),
    [](const auto& signals) { return std::string(signals.param.name); });

// ---- shares of the work ------------------------------------------------------------------------------

TEST(FewPairs, AreSharedByMoreRanksThanThereAre) {
  for (const auto& [edges, said] : {std::pair{3, "2 training, 0 validation, 1 test pairs"},
                                    std::pair{8, "10 training, 2 validation, 4 test pairs"}}) {
    const TemporaryDirectory folder;
    std::istringstream network(content(small_case().network));
    std::string few, line;
    for (int i = 0; i <= edges && std::getline(network, line); ++i) {
      few += line + "\n";
    }
    std::ofstream(folder / "few.csv") << few;
    const auto arguments = [&](const char* name) {
      return drill(folder / name, {{"--data.network", (folder / "few.csv").string()}});
    };
    const ProgramResult alone = run_faulty("", arguments("alone"), 1);
    ASSERT_EQ(alone.code, 0) << alone.errors;
    EXPECT_EQ(times_in(alone.errors, said), 1) << alone.errors;
    const ProgramResult many = run_faulty("", arguments("many"), 5);
    ASSERT_EQ(many.code, 0) << many.errors;
    expect_equal_runs(folder / "alone", folder / "many", said);
  }
}

TEST(Evaluation, IsTheSameOnOneToFiveRanks) {
  std::string metrics, edges;
  for (const int ranks : {1, 2, 3, 4, 5}) {
    const TemporaryDirectory folder;
    const ProgramResult result = run_faulty("", {"evaluate", "--run", undisturbed_run().string()}, ranks);
    ASSERT_EQ(result.code, 0) << result.errors;
    const ProgramResult predicted = run_faulty(
        "", {"predict", "--run", undisturbed_run().string(), "--out", (folder / "net").string()}, ranks);
    ASSERT_EQ(predicted.code, 0) << predicted.errors;
    const std::string ranked = content(folder / "net" / "rankedEdges.csv");
    if (ranks == 1) {
      metrics = result.output;
      edges = ranked;
      EXPECT_EQ(times_in(metrics, "auroc") > 0, true) << metrics;
    }
    EXPECT_EQ(result.output, metrics) << ranks;
    EXPECT_TRUE(ranked == edges) << ranks;
  }
}

// ---- surroundings ------------------------------------------------------------------------------------

TEST(TwoJobs, InOneFolderAreKeptApart) {
  const TemporaryDirectory folder;
  const auto arguments = drill(folder / "run");
  std::string job = program_path();
  for (const auto& argument : arguments) {
    job += " '" + argument + "'";
  }
  const std::string first = (folder / "first").string();
  // The first holds the folder for sixteen seconds or more, longer than the second waits; it must leave it
  // alone.
  const ProgramResult both =
      run_shell("MGRN_FAULT=0:3:step:slow:16000 " + job + " > /dev/null 2> '" + first + "' & one=$!; " +
                "for i in $(seq 600); do test -d '" + (folder / "run" / "checkpoints").string() +
                "' && break; sleep 0.05; done; " + job + "; code=$?; wait $one; echo first $? second $code");
  EXPECT_EQ(both.output, "first 0 second 64\n") << both.errors << content(first);
  EXPECT_EQ(times_in(both.errors, "error: another job works in this folder"), 1) << both.errors;
  expect_equal_runs(undisturbed_run(), folder / "run", "two jobs");
}

/// Whether one of these times of day, HH:MM:SS, lies before the one above it: by less than half a day, so
/// that midnight is no step back.
bool steps_back(const std::vector<std::string>& times) {
  constexpr int kDay = 24 * 60 * 60;
  int before = -1;
  for (const std::string& time : times) {
    const int now = (std::stoi(time.substr(0, 2)) * 60 + std::stoi(time.substr(3, 2))) * 60 +
                    std::stoi(time.substr(6, 2));
    if (before >= 0 && (now - before + kDay) % kDay > kDay / 2) return true;
    before = now;
  }
  return false;
}

TEST(Surroundings, ATimeOfDayThatJumpsChangesNothing) {
  const TemporaryDirectory folder;
  const auto arguments = drill(folder / "run");
  std::string line = mpiexec(2) + "env LD_PRELOAD='" MGRN_CLOCK_JUMP "' " + program_path();
  for (const auto& argument : arguments) {
    line += " '" + argument + "'";
  }
  const ProgramResult result = run_shell(line);
  ASSERT_EQ(result.code, 0) << result.errors;
  // The library did its work.
  std::vector<std::string> times;
  std::istringstream log(result.errors);
  for (std::string entry; std::getline(log, entry);) {
    if (times_in(entry, " info: ") == 1) {
      times.push_back(entry.substr(0, 8));
    }
  }
  EXPECT_TRUE(steps_back(times)) << result.errors;
  expect_equal_runs(undisturbed_run(), folder / "run", "clock jump");
}

TEST(Surroundings, ACommaInNumbersAndNoHomeChangeNothing) {
  const ProgramResult locales = run_shell("locale -a");
  std::string comma;
  for (const char* name : {"de_DE.utf8", "fr_FR.utf8", "de_AT.utf8", "es_ES.utf8"}) {
    if (times_in(locales.output, std::string(name) + "\n") > 0) {
      comma = name;
    }
  }
  const TemporaryDirectory folder;
  std::string setting = "LC_ALL=" + comma;
  if (comma.empty()) {
    // None is installed: one is made, where its sources are.
    const ProgramResult made =
        run_shell("localedef -i de_DE -f UTF-8 '" + (folder / "de_DE.utf8").string() + "'");
    if (made.code != 0) {
      GTEST_SKIP() << "no locale with a decimal comma, and none can be made: " << made.errors;
    }
    setting = "LOCPATH='" + folder.path().string() + "' LC_ALL=de_DE.utf8";
  }
  EXPECT_EQ(run_shell(setting + " locale decimal_point").output, ",\n");
  std::string line = mpiexec(2) + "env -u HOME " + setting + " " + program_path();
  for (const auto& argument : drill(folder / "run")) {
    line += " '" + argument + "'";
  }
  const ProgramResult result = run_shell(line);
  ASSERT_EQ(result.code, 0) << result.errors;
  EXPECT_EQ(times_in(result.output, ","), 0) << result.output;
  expect_equal_runs(undisturbed_run(), folder / "run", "comma, no HOME");
}

// With standard output closed its number is free, and the next file opened gets it.
TEST(Surroundings, AClosedStandardOutputIsSaidAndSpoilsNoFile) {
  const TemporaryDirectory folder;
  std::string line = program_path();
  for (const auto& argument : drill(folder / "run")) {
    line += " '" + argument + "'";
  }
  const ProgramResult result = run_shell(line + " >&- <&-");
  EXPECT_EQ(result.code, 74) << result.errors;
  EXPECT_EQ(times_in(result.errors, "error: cannot write to standard output"), 1) << result.errors;
  expect_equal_runs(undisturbed_run(), folder / "run", "closed stdout");
}

}  // namespace
