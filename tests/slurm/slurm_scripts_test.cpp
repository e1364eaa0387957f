// SPDX-License-Identifier: Apache-2.0
// The launch and submit scripts without a Slurm: what they print, and what they refuse.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "program/run_files.hpp"
#include "slurm/slurm_support.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMpirun = "launch/mpirun.sh";

Words with_program(Words words) {
  words.insert(words.begin(), {"--program", MGRN_PROGRAM});
  return words;
}

void expect_refused(const ProgramResult& result, int code, const std::string& what) {
  EXPECT_EQ(result.code, code) << result.output << result.errors;
  EXPECT_EQ(result.errors.rfind("error: ", 0), 0u) << result.errors;
  EXPECT_TRUE(contains(result.errors, what)) << result.errors;
  EXPECT_TRUE(contains(result.errors, "\nhint: ")) << result.errors;
  EXPECT_EQ(result.output, "");
}

/// The script is bash, and shellcheck has nothing to say, where it is installed.
void expect_valid(const std::string& script, const fs::path& folder) {
  const auto file = write_script(folder / "job.sh", "");
  std::ofstream(file) << script;
  const auto parsed = run_shell("bash -n " + shell_line({file.string()}));
  EXPECT_EQ(parsed.code, 0) << parsed.errors;
  if (run_shell("command -v shellcheck").code == 0) {
    const auto checked = run_shell("shellcheck " + shell_line({file.string()}));
    EXPECT_EQ(checked.code, 0) << checked.output;
  }
}

TEST(SubmitTrain, ADryRunPrintsAValidScriptThatHoldsAllThatWasAsked) {
  const TemporaryDirectory folder;
  std::ofstream(folder / "modules.sh") << "module load openmpi\n";
  const auto result = run_script(kTrain,
                                 with_program({"--nodes",
                                               "2",
                                               "--ranks-per-node=4",
                                               "--cpus-per-rank",
                                               "2",
                                               "--time",
                                               "1-2:30",
                                               "--partition",
                                               "long",
                                               "--account",
                                               "lab",
                                               "--memory-per-cpu",
                                               "4G",
                                               "--name",
                                               "my run",
                                               "--sbatch",
                                               "--reservation=x",
                                               "--setup",
                                               "modules.sh",
                                               "--stage",
                                               "--dry-run",
                                               "--",
                                               "train",
                                               "--data.dataset",
                                               "it's a file.h5",
                                               "--out",
                                               "run"}),
                                 folder.path());
  ASSERT_EQ(result.code, 0) << result.errors;
  expect_valid(result.output, folder.path());
  for (const char* line :
       {"#SBATCH --nodes=2\n", "#SBATCH --ntasks-per-node=4\n", "#SBATCH --cpus-per-task=2\n",
        "#SBATCH --time=1-2:30\n", "#SBATCH --partition=long\n", "#SBATCH --account=lab\n",
        "#SBATCH --mem-per-cpu=4G\n", "#SBATCH --job-name=\"my run\"\n", "#SBATCH --reservation=x\n",
        "#SBATCH --signal=B:USR1@180\n", "#SBATCH --requeue\n", "#SBATCH --open-mode=append\n", "\nranks=8\n",
        "\nstage=SLURM_TMPDIR\n"}) {
    EXPECT_TRUE(contains(result.output, line)) << line << result.output;
  }
  EXPECT_TRUE(contains(result.output, "\nsource " + (folder / "modules.sh").string())) << result.output;
  EXPECT_TRUE(contains(result.output, "\nrun_job train --data.dataset it\\'s\\ a\\ file.h5 --out run\n"))
      << result.output;
}

TEST(SubmitTrain, AScriptNamesNoPartitionAccountOrMailUnlessAsked) {
  const TemporaryDirectory folder;
  const auto result =
      run_script(kTrain, with_program({"--time", "10", "--dry-run", "--", "train"}), folder.path());
  ASSERT_EQ(result.code, 0) << result.errors;
  for (const char* word : {"--partition", "--account", "mail", "--qos", "#SBATCH --gpus", "--mem"}) {
    EXPECT_FALSE(contains(result.output, word)) << word;
  }
}

TEST(SubmitTrain, GpusArePerNodeOrSpreadOverUnequalNodes) {
  const TemporaryDirectory folder;
  const auto script = [&](const Words& options) {
    Words words = {"--time", "10", "--dry-run"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"--", "train"});
    const auto result = run_script(kTrain, with_program(words), folder.path());
    EXPECT_EQ(result.code, 0) << result.errors;
    expect_valid(result.output, folder.path());
    return result.output;
  };
  const auto per_node = script({"--nodes", "2", "--gpus-per-node", "a100:4"});
  EXPECT_TRUE(contains(per_node, "#SBATCH --gpus-per-node=a100:4\n")) << per_node;
  EXPECT_TRUE(contains(per_node, "\nranks=8\n")) << per_node;
  const auto spread = script({"--gpus", "a100:6"});
  EXPECT_TRUE(contains(spread, "#SBATCH --ntasks=6\n#SBATCH --gpus-per-task=a100:1\n")) << spread;
  EXPECT_FALSE(contains(spread, "--nodes")) << spread;
}

TEST(SubmitTrain, WhatCannotWorkIsRefusedBeforeAnythingWaitsInAQueue) {
  const TemporaryDirectory folder;
  const auto refused = [&](const Words& words, int code, const std::string& what) {
    expect_refused(run_script(kTrain, with_program(words), folder.path()), code, what);
  };
  refused({"--", "train"}, 64, "--time is missing");
  refused({"--time", "1:xx", "--", "train"}, 64, "--time: expected a time limit, got '1:xx'");
  refused({"--time", "1-", "--", "train"}, 64, "--time: expected a time limit");
  refused({"--time", "3", "--", "train"}, 64, "told to stop as they start: --time is 180 s");
  refused({"--time", "10", "--nodes", "0", "--", "train"}, 64,
          "--nodes: expected a number, 1 or more, got '0'");
  refused({"--time", "10", "--nodes", "--", "train"}, 64, "--nodes needs a value");
  refused({"--tme", "10", "--", "train"}, 64, "unknown option --tme");
  refused({"--time", "10", "train"}, 64, "unexpected word 'train'");
  refused({"--time", "10"}, 64, "there is no command");
  refused({"--time", "10", "--", "grid", "run"}, 64, "array of jobs");
  refused({"--time", "10", "--launcher", "aprun", "--", "train"}, 64, "expected srun or mpirun");
  refused({"--time", "10", "--setup", "none.sh", "--", "train"}, 65, "none.sh cannot be read");
  refused({"--time", "10", "--stage", "a/folder", "--", "train"}, 64, "--stage: expected a full path");
  refused({"--time", "10", "--stage", "--", "predict"}, 64, "--stage is for train, pretrain and finetune");
  refused({"--time", "10", "--sbatch", "x", "--", "train"}, 64, "expected an option of sbatch");
  refused({"--time", "10", "--name", "a\"b", "--", "train"}, 64, "a quote or a line break");
  refused({"--time", "10", "--gpus", "4", "--nodes", "2", "--", "train"}, 64, "excludes --nodes");
  refused({"--time", "10", "--gpus-per-node", "4", "--ranks-per-node", "2", "--", "train"}, 64,
          "2 of the 4 GPUs of each node would be idle");
  refused({"--time", "10", "--", "train", "--train.device", "cuda"}, 64, "asks for no GPU");
  refused({"--time", "10", "--gpus", "2", "--", "train", "--train.device=cpu"}, 64, "train.device is cpu");
  expect_refused(run_script(kTrain, {"--time", "10", "--program", "none", "--", "train"}, folder.path()), 65,
                 "none is not a program");
}

TEST(SubmitTrain, WithoutSlurmItSaysWhereToGo) {
  const TemporaryDirectory folder;
  // A PATH with all that the script needs but Slurm.
  fs::create_directory(folder / "bin");
  for (const char* tool : {"bash", "dirname", "realpath", "env", "sed", "date"}) {
    fs::create_symlink(run_shell(std::string("printf %s \"$(command -v ") + tool + ")\"").output,
                       folder / "bin" / tool);
  }
  expect_refused(run_script(kTrain, with_program({"--time", "10", "--", "train"}), folder.path(),
                            "PATH=" + shell_line({(folder / "bin").string()})),
                 76, "there is no sbatch here");
}

TEST(SubmitChain, TheSecondJobStartsFromTheFirstOnesWeights) {
  const TemporaryDirectory folder;
  const auto result = run_script(kChain,
                                 with_program({"--time", "10", "--dry-run", "--", "pretrain", "--out", "pre",
                                               "--", "finetune", "--out", "fine"}),
                                 folder.path());
  ASSERT_EQ(result.code, 0) << result.errors;
  EXPECT_TRUE(contains(result.output, "\nrun_job pretrain --out pre\n")) << result.output;
  EXPECT_TRUE(contains(result.output, "\nrun_job finetune --out fine --train.init pre/model.safetensors\n"))
      << result.output;
  expect_valid(result.output.substr(0, result.output.rfind("#!/bin/bash")), folder.path());
  expect_valid(result.output.substr(result.output.rfind("#!/bin/bash")), folder.path());
}

TEST(SubmitChain, OtherWeightsOrMissingPartsAreRefused) {
  const TemporaryDirectory folder;
  const auto refused = [&](const Words& words, const std::string& what) {
    Words all = {"--time", "10", "--dry-run", "--"};
    all.insert(all.end(), words.begin(), words.end());
    expect_refused(run_script(kChain, with_program(all), folder.path()), 64, what);
  };
  refused({"pretrain", "--out", "pre"}, "expected -- pretrain ARGUMENT... -- finetune ARGUMENT...");
  refused({"pretrain", "--", "finetune"}, "pretrain has no --out");
  refused({"pretrain", "--out", "pre", "--", "finetune", "--train.init", "other"},
          "finetune is to start from other");
}

/// A scontrol that knows one thing.
std::string with_array_size(const fs::path& folder, int size) {
  fs::create_directories(folder / "bin");
  write_script(folder / "bin" / "scontrol",
               "echo 'MaxArraySize            = " + std::to_string(size) + "'\n");
  return "PATH=" + shell_line({(folder / "bin").string()}) + ":\"$PATH\"";
}

std::string array_of(const ProgramResult& result) {
  EXPECT_EQ(result.code, 0) << result.errors;
  const auto at = result.output.find("#SBATCH --array=");
  return at == std::string::npos ? "" : result.output.substr(at + 16, result.output.find('\n', at) - at - 16);
}

TEST(SubmitGrid, AnArrayHasOneJobPerTaskAsFarAsTheClusterAllows) {
  const TemporaryDirectory folder;
  std::ofstream(folder / "grid.ini") << "[grid]\n";
  const auto program = write_grid_program(folder / "program", 10);
  const auto grid = [&](int array_size, const Words& more) {
    Words words = {"--program", program.string(), "--time", "10", "--dry-run",
                   "--config",  "grid.ini",       "--out",  "o"};
    words.insert(words.end(), more.begin(), more.end());
    return run_script(kGrid, words, folder.path(), with_array_size(folder.path(), array_size));
  };
  const auto whole = grid(1001, {});
  EXPECT_EQ(array_of(whole), "0-9");
  expect_valid(whole.output, folder.path());
  EXPECT_TRUE(contains(whole.output, "\nrun_job grid run --out o --chunk \"$SLURM_ARRAY_TASK_ID/10\"\n"))
      << whole.output;
  EXPECT_TRUE(contains(whole.output, "#SBATCH --output=slurm-%x-%A_%a.out\n")) << whole.output;
  EXPECT_EQ(array_of(grid(4, {})), "0-3") << "the largest index is one less than MaxArraySize";
  EXPECT_EQ(array_of(grid(10, {})), "0-9");
  EXPECT_EQ(array_of(grid(9, {})), "0-8");
  EXPECT_EQ(array_of(grid(1, {})), "0-0");
  EXPECT_EQ(array_of(grid(1001, {"--jobs", "3"})), "0-2");
  EXPECT_EQ(array_of(grid(1001, {"--jobs", "30"})), "0-9") << "no job without a task";
  EXPECT_EQ(array_of(grid(1001, {"--at-once", "2"})), "0-9%2");
  const auto many = grid(1001, {"--ranks-per-node", "4", "--ranks-per-task", "2", "--isolate", "yes"});
  EXPECT_TRUE(contains(many.output, "grid run --out o --ranks-per-task 2 --isolate --chunk ")) << many.output;
  // The program itself starts each task's ranks; inside a job step of its own it could not.
  EXPECT_TRUE(contains(many.output, "launcher=none")) << many.output;
  EXPECT_TRUE(contains(many.output, "--launcher srun\\ --exact\\ --mpi=pmix\\ --ntasks=\\{ranks\\}\\ "))
      << many.output;
}

TEST(SubmitGrid, AGridThatCannotBePlannedIsNotSubmitted) {
  const TemporaryDirectory folder;
  std::ofstream(folder / "grid.ini") << "[grid]\n";
  const auto program = write_script(folder / "program", "echo 'error: no such dataset' >&2; exit 65\n");
  const Words words = {"--program", program.string(), "--time",   "10",    "--jobs", "2",
                       "--dry-run", "--config",       "grid.ini", "--out", "o"};
  expect_refused(
      run_script(kGrid, {"--program", program.string(), "--time", "10", "--out", "o"}, folder.path()), 64,
      "--config is missing");
  expect_refused(run_script(kGrid,
                            {"--program", program.string(), "--time", "10", "--stage", "--config", "grid.ini",
                             "--out", "o"},
                            folder.path()),
                 64, "--stage is not for grids");
  const auto result = run_script(kGrid, words, folder.path());
  EXPECT_EQ(result.code, 65) << result.errors;
  EXPECT_EQ(result.output, "");
}

TEST(Mpirun, HostsSlotsAndBindingBecomeTheLaunchersOwnWords) {
  const TemporaryDirectory folder;
  std::ofstream(folder / "hosts") << "# two hosts\nnode1 slots=2\nnode2   # one\n";
  const auto open_mpi = write_script(folder / "open", "echo 'mpirun (Open MPI) 4.1.4'\n").string();
  const auto hydra = write_script(folder / "hydra", "echo 'HYDRA build details: Version: 4.0.2'\n").string();
  const auto command = [&](const std::string& launcher, const Words& options) {
    Words words = with_program({"--mpirun", launcher, "--dry-run"});
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"--", "train"});
    const auto result = run_script(kMpirun, words, folder.path());
    EXPECT_EQ(result.code, 0) << result.errors;
    return result.output;
  };
  EXPECT_TRUE(contains(command(open_mpi, {"--hostfile", "hosts", "--cpus-per-rank", "2"}),
                       " -n 3 --host node1:2\\,node2:1 --map-by slot:PE=2 --bind-to core "));
  EXPECT_TRUE(
      contains(command(hydra, {"--hostfile", "hosts"}), " -n 3 -hosts node1:2\\,node2:1 -bind-to core:1 "));
  EXPECT_TRUE(contains(command(open_mpi, {"--ranks", "1", "--bind", "none"}), " -n 1 --bind-to none "));
  EXPECT_TRUE(contains(command(open_mpi, {"--ranks", "5000", "--oversubscribe"}),
                       " -n 5000 --oversubscribe --bind-to none "));
}

TEST(Mpirun, WhatCannotWorkIsRefused) {
  const TemporaryDirectory folder;
  std::ofstream(folder / "hosts") << "node1 max=2\n";
  std::ofstream(folder / "empty") << "# nobody\n";
  const auto refused = [&](const Words& words, const std::string& what) {
    expect_refused(run_script(kMpirun, with_program(words), folder.path()), 64, what);
  };
  refused({"--ranks", "5000", "--", "train"}, "are more than fit");
  refused({"--hostfile", "hosts", "--", "train"}, "expected HOST slots=N");
  refused({"--hostfile", "empty", "--", "train"}, "names no host");
  refused({"--bind", "numa", "--", "train"}, "expected core, socket or none");
  refused({"--ranks", "2"}, "there is no command");
  refused({"--mpirun", "true", "--", "train"}, "the launcher of no MPI that is known here");
}

TEST(Mpirun, SigtermStopsTheRanksWithACheckpointAndTheSameCommandGoesOn) {
  const TemporaryDirectory folder;
  Words train = small_case().training_keys(folder / "run");
  train.insert(train.begin(), "train");
  train.insert(train.end(), {"--train.checkpoint_every", "20"});
  *std::next(std::find(train.begin(), train.end(), "--train.epochs")) = "100";
  Words words = {source_path(kMpirun), "--program", MGRN_PROGRAM, "--mpirun", MGRN_MPIEXEC, "--ranks", "2",
                 "--oversubscribe",    "--"};
  words.insert(words.end(), train.begin(), train.end());
  const std::string line = shell_line(words);
  const auto stopped =
      run_shell(line + " & script=$!; until [ -s " + shell_line({folder / "run" / "metrics.jsonl"}) +
                " ]; do kill -0 $script || break; sleep 0.02; done; kill -TERM $script; wait $script");
  EXPECT_EQ(stopped.code, 75) << stopped.errors;
  EXPECT_TRUE(contains(stopped.errors, "the same command goes on from it")) << stopped.errors;
  EXPECT_FALSE(fs::exists(folder / "run" / "result.json"));
  const auto again = run_shell(line);
  EXPECT_EQ(again.code, 0) << again.errors;
  train[std::distance(train.begin(), std::find(train.begin(), train.end(), "--out")) + 1] =
      (folder / "alone").string();
  ASSERT_EQ(run_program(train).code, 0);
  EXPECT_EQ(files_of(folder / "run"), files_of(folder / "alone"));
}

}  // namespace
}  // namespace mgrn::test
