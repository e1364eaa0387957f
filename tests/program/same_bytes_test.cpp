// SPDX-License-Identifier: Apache-2.0
// The promise as a user sees it: the same files, byte for byte, on any number of ranks, after a kill, after a
// stop on a signal, and after a restart on another number of ranks.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "program/run_files.hpp"
#include "program/run_program.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using mgrn::test::content;
using mgrn::test::expect_equal_runs;
using mgrn::test::files_of;
using mgrn::test::ProgramResult;
using mgrn::test::run_program;
using mgrn::test::run_shell;
using mgrn::test::small_case;
using mgrn::test::TemporaryDirectory;
using Arguments = std::vector<std::string>;

/// A safetensors file without its header, whose metadata tell of the data too.
std::string tensors_of(const fs::path& file) {
  const std::string bytes = content(file);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  return bytes.substr(sizeof header + header);
}

Arguments train(const fs::path& out, const Arguments& more = {}) {
  Arguments arguments = {"train"};
  const Arguments keys = small_case().training_keys(out);
  arguments.insert(arguments.end(), keys.begin(), keys.end());
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

void expect_done(const ProgramResult& result) {
  ASSERT_EQ(result.code, 0) << result.errors;
}

class SameBytes : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryDirectory;
    const ProgramResult result = run_program(train(reference()));
    ASSERT_EQ(result.code, 0) << result.errors;
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  static fs::path reference() { return *folder_ / "alone"; }
  static TemporaryDirectory* folder_;
};
TemporaryDirectory* SameBytes::folder_ = nullptr;

TEST_F(SameBytes, OnOneToFourRanks) {
  for (const int ranks : {1, 2, 3, 4}) {
    const TemporaryDirectory folder;
    expect_done(run_program(train(folder / "run"), ranks));
    expect_equal_runs(reference(), folder / "run", std::to_string(ranks) + " ranks");
  }
}

TEST_F(SameBytes, OnTwoThreads) {
  const TemporaryDirectory folder;
  expect_done(run_program(train(folder / "run", {"--train.threads", "2"})));
  expect_equal_runs(reference(), folder / "run", "2 threads");
}

TEST_F(SameBytes, WithAnotherRhythmOfCheckpoints) {
  const TemporaryDirectory folder;
  expect_done(run_program(train(folder / "run", {"--train.checkpoint_every", "3"})));
  expect_equal_runs(reference(), folder / "run", "checkpoint_every 3");
}

TEST_F(SameBytes, FromTheResolvedConfig) {
  const TemporaryDirectory folder;
  expect_done(run_program(
      {"train", "--config", (reference() / "config.ini").string(), "--out", (folder / "run").string()}));
  expect_equal_runs(reference(), folder / "run", "config.ini");
}

TEST_F(SameBytes, ButNotWithAnotherSeed) {
  const TemporaryDirectory folder;
  expect_done(run_program(train(folder / "run", {"--train.seed", "99"})));
  const auto left = files_of(reference()), right = files_of(folder / "run");
  EXPECT_EQ(left.at("split.csv"), right.at("split.csv"));
  EXPECT_NE(left.at("model.safetensors"), right.at("model.safetensors"));
}

/// Starts the program under mpiexec in a process group of its own, waits until a checkpoint is there, then
/// sends `signal` to `whom` (the launcher, or the whole group) and returns the exit code.
int interrupt(const Arguments& arguments, const fs::path& run, int ranks, int signal, bool group) {
  std::string line = "exec " + mgrn::test::mpiexec(ranks) + mgrn::test::program_path();
  for (const auto& argument : arguments) {
    line += " '" + argument + "'";
  }
  line += " > /dev/null 2>&1";
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    _exit(127);
  }
  const auto has_checkpoint = [&] {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(run / "checkpoints", none)) {
      if (entry.path().filename().string().rfind("step-", 0) == 0) {
        return true;
      }
    }
    return false;
  };
  int status = 0;
  for (int tick = 0; tick < 6000 && !has_checkpoint(); ++tick) {
    if (waitpid(child, &status, WNOHANG) == child) {
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  kill(group ? -child : child, signal);
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Long enough to be hit in the middle; a checkpoint at every step, so that the first comes soon.
Arguments long_run(const fs::path& out) {
  return train(out, {"--train.checkpoint_every", "1", "--train.keep_checkpoints", "3"});
}
Arguments with_epochs(Arguments arguments, const std::string& epochs) {
  *std::next(std::find(arguments.begin(), arguments.end(), "--train.epochs")) = epochs;
  return arguments;
}

TEST(Interrupted, KilledAndRestartedOnOtherRanksGivesTheSameBytes) {
  const TemporaryDirectory folder;
  const std::string epochs = "40";
  expect_done(run_program(with_epochs(long_run(folder / "whole"), epochs), 2));
  for (const int ranks_after : {2, 3}) {
    const fs::path run = folder / ("killed" + std::to_string(ranks_after));
    const auto arguments = with_epochs(long_run(run), epochs);
    const int code = interrupt(arguments, run, 2, SIGKILL, true);
    EXPECT_NE(code, 0) << "the run ended before it could be killed";
    EXPECT_FALSE(fs::exists(run / "result.json"));
    // Ranks whose launcher is gone end by themselves; give them the moment that takes.
    std::this_thread::sleep_for(std::chrono::seconds(1));
    const ProgramResult again = run_program(arguments, ranks_after);
    expect_done(again);
    expect_equal_runs(folder / "whole", run, "killed, restarted on " + std::to_string(ranks_after));
  }
}

TEST(Interrupted, StoppedOnSigusr1ThroughTheLauncherSays75AndGoesOn) {
  const TemporaryDirectory folder;
  const std::string epochs = "40";
  const fs::path run = folder / "run";
  const auto arguments = with_epochs(long_run(run), epochs);
  const int code = interrupt(arguments, run, 2, SIGUSR1, false);
  EXPECT_EQ(code, 75);
  EXPECT_FALSE(fs::exists(run / "result.json"));
  expect_done(run_program(arguments, 1));
  expect_done(run_program(with_epochs(long_run(folder / "whole"), epochs)));
  expect_equal_runs(folder / "whole", run, "stopped and gone on");
}

TEST(FinishedRun, IsNotRepeatedAndRefusesAnotherConfig) {
  const TemporaryDirectory folder;
  expect_done(run_program(train(folder / "run")));
  const auto before = fs::last_write_time(folder / "run" / "model.safetensors");
  expect_done(run_program(train(folder / "run")));
  EXPECT_EQ(before, fs::last_write_time(folder / "run" / "model.safetensors"));
  const ProgramResult other = run_program(train(folder / "run", {"--model.layers", "1"}));
  EXPECT_EQ(other.code, 64) << other.errors;
  EXPECT_NE(other.errors.find("model.layers"), std::string::npos) << other.errors;
}

TEST(Pipeline, PretrainFinetuneEvaluatePredictAndSampleWorkTogether) {
  const TemporaryDirectory folder;
  const auto& base = small_case();
  const auto out = [&](const char* name) { return (folder / name).string(); };
  // A second dataset, of other cells.
  expect_done(run_program({"simulate", "--out", out("raw2"), "--cells", "250", "--genes", "120", "--tfs",
                           "15", "--peaks", "600", "--seed", "6"}));
  expect_done(run_program({"prepare", "--rna", out("raw2") + "/multiome.h5", "--annotation",
                           out("raw2") + "/annotation.gtf.gz", "--out", out("second.h5")},
                          2));
  Arguments keys = base.training_keys(folder / "pre");
  *std::next(std::find(keys.begin(), keys.end(), "--data.dataset")) = out("second.h5");
  keys.insert(keys.begin(), "pretrain");
  keys.insert(keys.end(), {"--cross.target", base.dataset.string()});
  expect_done(run_program(keys, 2));

  // Zero-shot: the pretrained weights as they are.
  keys = with_epochs(base.training_keys(folder / "zero"), "0");
  keys.insert(keys.begin(), "finetune");
  keys.insert(keys.end(), {"--train.init", out("pre") + "/model.safetensors"});
  expect_done(run_program(keys, 2));
  EXPECT_EQ(tensors_of(folder / "zero" / "model.safetensors"),
            tensors_of(folder / "pre" / "model.safetensors"));
  EXPECT_EQ(content(folder / "zero" / "predictions.csv").rfind("tf,gene,label,score\n", 0), 0u);
  EXPECT_TRUE(nlohmann::json::parse(content(folder / "zero" / "result.json")).at("auroc").is_number());
  expect_done(run_program({"evaluate", "--run", out("zero")}));
  expect_done(run_program({"predict", "--run", out("zero"), "--out", out("net0")}));

  keys = base.training_keys(folder / "fine");
  keys.insert(keys.begin(), "finetune");
  keys.insert(keys.end(), {"--train.init", out("pre") + "/model.safetensors", "--runs", "2"});
  const ProgramResult refused = run_program(keys, 2);
  // Run 2 has another split, whose test pairs the pretraining run has seen: the program must notice.
  EXPECT_EQ(refused.code, 65) << refused.errors;
  EXPECT_NE(refused.errors.find("cross.leak"), std::string::npos) << refused.errors;
  keys.insert(keys.end(), {"--cross.leak", "same-dataset"});
  *std::next(std::find(keys.begin(), keys.end(), "--out")) = out("fine2");
  expect_done(run_program(keys, 2));
  EXPECT_TRUE(fs::exists(folder / "fine2" / "run-2" / "result.json"));
  const auto summary = nlohmann::json::parse(content(folder / "fine2" / "summary.json"));
  EXPECT_TRUE(summary.contains("auroc"));

  const ProgramResult metrics = run_program({"evaluate", "--run", out("fine2") + "/run-1"});
  expect_done(metrics);
  const auto evaluated = nlohmann::json::parse(metrics.output);
  const auto result = nlohmann::json::parse(content(folder / "fine2" / "run-1" / "result.json"));
  EXPECT_EQ(evaluated.at("auroc"), result.at("auroc"));

  expect_done(run_program({"predict", "--run", out("fine2") + "/run-1", "--out", out("net1")}));
  expect_done(run_program({"predict", "--run", out("fine2") + "/run-1", "--out", out("net2")}, 3));
  EXPECT_EQ(content(folder / "net1" / "rankedEdges.csv"), content(folder / "net2" / "rankedEdges.csv"));
  EXPECT_EQ(content(folder / "net1" / "rankedEdges.csv").rfind("Gene1\tGene2\tEdgeWeight\n", 0), 0u);
  const ProgramResult scored =
      run_program({"evaluate", "--edges", out("net1") + "/rankedEdges.csv", "--network",
                   base.network.string(), "--tfs", base.tfs.string(), "--protocol", "beeline"});
  expect_done(scored);
  EXPECT_TRUE(nlohmann::json::parse(scored.output).contains("auroc"));

  // The best pair's sample: N rows of a barcode and four values.
  std::istringstream edges(content(folder / "net1" / "rankedEdges.csv"));
  std::string header, tf, gene;
  std::getline(edges, header);
  std::getline(edges, tf, '\t');
  std::getline(edges, gene, '\t');
  Arguments sample = base.training_keys(folder / "unused");
  sample.erase(sample.end() - 2, sample.end());
  sample.insert(sample.begin(), "sample");
  sample.insert(sample.end(), {"--tf", tf, "--gene", gene, "--set", "test"});
  const ProgramResult printed = run_program(sample);
  expect_done(printed);
  EXPECT_EQ(std::count(printed.output.begin(), printed.output.end(), '\n'), 25);
}

TEST(Program, MoreCellsPerSampleThanTheDatasetHasIsSaid) {
  const TemporaryDirectory folder;
  Arguments arguments = train(folder / "run", {"--train.epochs", "1"});
  arguments.erase(std::find(arguments.begin(), arguments.end(), "--train.epochs"),
                  std::find(arguments.begin(), arguments.end(), "--train.epochs") + 2);
  *std::next(std::find(arguments.begin(), arguments.end(), "--model.cells")) = "400";
  const ProgramResult result = run_program(arguments);
  expect_done(result);
  EXPECT_NE(result.errors.find("more than the"), std::string::npos) << result.errors;
}

TEST(Program, HelpAndVersionAnswerOnStdoutAndEveryCommandHasHelp) {
  const ProgramResult help = run_program({"--help"});
  EXPECT_EQ(help.code, 0);
  const ProgramResult version = run_program({"--version"});
  EXPECT_EQ(version.code, 0);
  for (const char* library : {"MPI", "HDF5", "LibTorch", "Boost"}) {
    EXPECT_NE(version.output.find(library), std::string::npos) << library;
  }
  for (const char* command : {"simulate", "prepare", "inspect", "train", "pretrain", "finetune", "evaluate",
                              "predict", "sample", "doctor"}) {
    EXPECT_NE(help.output.find(command), std::string::npos) << command;
    const ProgramResult one = run_program({command, "--help"});
    EXPECT_EQ(one.code, 0);
    EXPECT_NE(one.output.find("--log-rank"), std::string::npos);
    EXPECT_TRUE(one.errors.empty()) << one.errors;
  }
}

TEST(Program, DoctorChecksRanksAndFolders) {
  const TemporaryDirectory folder;
  const ProgramResult result = run_program({"doctor", "--out", folder.path().string()}, 2);
  expect_done(result);
  EXPECT_NE(result.output.find("2 ranks"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find("right sum"), std::string::npos) << result.output;
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
