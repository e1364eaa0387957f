// SPDX-License-Identifier: Apache-2.0
// genie3 and grnboost2 as users run them: the same files on any number of ranks and threads, after a stop,
// and from another run's finished targets.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "program/run_files.hpp"
#include "program/run_program.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using mgrn::test::content;
using mgrn::test::run_program;
using mgrn::test::run_shell;
using mgrn::test::small_case;
using mgrn::test::TemporaryDirectory;
using Arguments = std::vector<std::string>;

Arguments baseline(const std::string& method, const fs::path& out, const Arguments& more = {}) {
  const auto& data = small_case();
  Arguments arguments = {"baseline",   "--method",       method,       "--data.dataset",
                         data.dataset, "--data.network", data.network, "--data.tfs",
                         data.tfs,     "--data.genes",   "all",        "--out",
                         out};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

void expect_same_files(const fs::path& a, const fs::path& b) {
  for (const char* file :
       {"config.ini", "split.csv", "predictions.csv", "result.json", "rankedEdges.csv", "network.tsv"}) {
    EXPECT_EQ(content(a / file), content(b / file)) << file;
  }
}

void expect_done(const mgrn::test::ProgramResult& result) {
  ASSERT_EQ(result.code, 0) << result.errors;
}

TEST(Trees, AreTheSameBytesOnAnyNumberOfRanksAndThreads) {
  const TemporaryDirectory folder;
  for (const std::string method : {"genie3", "grnboost2"}) {
    const Arguments few = {"--baseline.trees",      "10",      "--baseline.rounds", "60",
                           "--baseline.regressors", "rna,atac"};
    const fs::path alone = folder / method;
    expect_done(run_program(baseline(method, alone, few)));
    EXPECT_FALSE(fs::exists(alone / "targets"));
    const std::string network = content(alone / "network.tsv");
    EXPECT_GT(std::count(network.begin(), network.end(), '\n'), 100);
    for (const int ranks : {1, 2, 3, 4}) {
      const fs::path run = folder / (method + std::to_string(ranks));
      Arguments arguments = baseline(method, run, few);
      arguments.insert(arguments.end(), {"--train.threads", std::to_string(1 + ranks % 2)});
      expect_done(run_program(arguments, ranks));
      expect_same_files(alone, run);
    }
  }
}

TEST(Trees, AStoppedRunGoesOnFromItsFinishedTargets) {
  const TemporaryDirectory folder;
  const Arguments many = {"--baseline.trees", "200"};
  const fs::path run = folder / "run";
  std::string command = "exec " + mgrn::test::program_path();
  for (const auto& word : baseline("genie3", run, many)) {
    command += " '" + word + "'";
  }
  command += " 2>'" + (folder / "errors").string() + "' >/dev/null";
  small_case();  // made before the clock runs
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  // The first line of progress says that targets are being done.
  for (int tenths = 0; tenths < 1200; ++tenths) {
    if (fs::exists(folder / "errors") &&
        content(folder / "errors").find("to regress on") != std::string::npos) {
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  kill(child, SIGUSR1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 75) << content(folder / "errors");
  EXPECT_FALSE(fs::exists(run / "result.json"));
  EXPECT_FALSE(fs::is_empty(run / "targets"));

  const auto again = run_program(baseline("genie3", run, many), 2);
  expect_done(again);
  EXPECT_FALSE(fs::exists(run / "targets"));
  expect_done(run_program(baseline("genie3", folder / "whole", many)));
  expect_same_files(folder / "whole", run);
}

TEST(Trees, RunsThatDifferInTheirSplitAloneShareTheirTargets) {
  const TemporaryDirectory folder;
  const Arguments shared = {"--train.seed", "1", "--baseline.cache", (folder / "cache").string()};
  expect_done(run_program(baseline("grnboost2", folder / "a", shared)));
  Arguments other = shared;
  other.insert(other.end(), {"--pairs.seed", "2", "--pairs.negatives", "multignn"});
  const auto second = run_program(baseline("grnboost2", folder / "b", other));
  expect_done(second);
  EXPECT_NE(second.errors.find("grnboost2: 0 of "), std::string::npos) << second.errors;
  EXPECT_EQ(content(folder / "a" / "network.tsv"), content(folder / "b" / "network.tsv"));
  EXPECT_NE(content(folder / "a" / "split.csv"), content(folder / "b" / "split.csv"));
  // Another seed is another network.
  Arguments seeded = shared;
  seeded[1] = "2";
  expect_done(run_program(baseline("grnboost2", folder / "c", seeded)));
  EXPECT_NE(content(folder / "a" / "network.tsv"), content(folder / "c" / "network.tsv"));
}

TEST(Trees, AskForAtacOnlyWhereThereIsSome) {
  const TemporaryDirectory folder;
  const auto refused = run_program(
      baseline("genie3", folder / "run",
               {"--baseline.regressors", "rna,atac", "--data.modalities", "rna", "--baseline.trees", "1"}));
  EXPECT_EQ(refused.code, 64) << refused.errors;
  EXPECT_NE(refused.errors.find("baseline.regressors"), std::string::npos) << refused.errors;
}

}  // namespace
