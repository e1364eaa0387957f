// SPDX-License-Identifier: Apache-2.0
// What becomes of jobs that the submit scripts make, on the Slurm that cluster.sh has started: the same bytes
// as without Slurm, whatever happens to them on the way.
//
// A run that is to be disturbed must not depend on how fast this machine is: `hold` lets it train for some
// epochs and then halts it until its stop signal comes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <regex>
#include <set>
#include <thread>

#include "program/run_files.hpp"
#include "slurm/slurm_support.hpp"
#include "support/temporary_directory.hpp"
#include "support/time_limit.hpp"

namespace mgrn::test {
namespace {

namespace fs = std::filesystem;

constexpr double kPatience = 90;  // seconds; Slurm looks at time limits every 30

bool await(const std::function<bool()>& come, double seconds = kPatience) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(time_limit(seconds));
  while (!come()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return true;
}

/// A field of `scontrol show job`, as "JobState" or "Restarts".
std::string field(const std::string& job, const std::string& name) {
  const std::string text = run_shell("scontrol show job -o " + job).output;
  std::smatch found;
  return std::regex_search(text, found, std::regex("(^| )" + name + "=([^ \\n]*)")) ? found[2].str() : "";
}

std::string state(const std::string& job) {
  return field(job, "JobState");
}

bool ended(const std::string& job) {
  static const std::set<std::string> kLast = {"COMPLETED", "FAILED",    "CANCELLED",    "TIMEOUT",
                                              "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY"};
  return kLast.contains(state(job));
}

/// Words of `train` on the small case: seconds of work, in which it can be met.
Words train_words(const fs::path& out, const std::string& command = "train") {
  Words words = small_case().training_keys(out);
  *std::next(std::find(words.begin(), words.end(), "--train.epochs")) = "100";
  words.insert(words.begin(), command);
  words.insert(words.end(), {"--train.checkpoint_every", "20", "--log-level", "warning"});
  return words;
}

/// Everything the cases share, made once: a folder, and the run that nothing has disturbed.
class Cluster : public testing::Environment {
 public:
  void SetUp() override {
    for (const char* tool : {"munged", "slurmctld", "slurmd", "sbatch"}) {
      if (run_shell(std::string("PATH=$PATH:/usr/sbin:/sbin command -v ") + tool).code != 0) {
        GTEST_SKIP() << "no Slurm here (" << tool << "; Debian: slurmctld slurmd slurm-client munge)";
      }
    }
    ASSERT_EQ(run_shell("sinfo").code, 0) << "the cluster is not up: ctest -R slurm_jobs starts it";
    folder_ = std::make_unique<TemporaryDirectory>();
    write_script(folder() / "hold", R"(# Runs the program; the first time halts it in the middle.
")" MGRN_PROGRAM R"(" "$@" &
child=$!
[[ ${SLURM_RESTART_COUNT:-0} == 0 && -n ${HELD_RUN:-} ]] || { wait "$child"; exit; }
trap 'kill -CONT "$child"; kill -USR1 "$child"' USR1
trap 'kill -CONT "$child"; kill -TERM "$child"' TERM
until [[ -s $HELD_RUN/metrics.jsonl && $(<"$HELD_RUN/metrics.jsonl") == *$'\n'* ]]; do  # the second epoch is over
  kill -0 "$child" || exit 1
  sleep 0.01
done
kill -STOP "$child"
touch "$HELD_RUN.held-$SLURM_PROCID"
while kill -0 "$child" 2>/dev/null; do wait "$child"; done
wait "$child"
)");
    const auto done = run_program(train_words(folder() / "undisturbed"));
    ASSERT_EQ(done.code, 0) << done.errors;
  }
  void TearDown() override {
    run_shell("scancel --user=$(id -un)");
    folder_.reset();
  }
  static const fs::path& folder() { return folder_->path(); }

 private:
  static std::unique_ptr<TemporaryDirectory> folder_;
};
std::unique_ptr<TemporaryDirectory> Cluster::folder_;

const testing::Environment* const kCluster = testing::AddGlobalTestEnvironment(new Cluster);

struct Submitted {
  std::string job;                ///< the last of them
  std::vector<std::string> jobs;  ///< all
  fs::path log;
  std::string log_text() const { return content_of(log); }
};

/// Runs a submit script in the shared folder; the log is NAME.log.
Submitted submit(const std::string& script, const std::string& name, const Words& options,
                 const Words& command, const std::string& program = MGRN_PROGRAM,
                 const std::string& environment = "") {
  Submitted submitted{.job = {}, .jobs = {}, .log = Cluster::folder() / (name + ".log")};
  Words words = {"--program", program, "--log", submitted.log.string()};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), command.begin(), command.end());
  const auto result = run_script(script, words, Cluster::folder(), environment);
  EXPECT_EQ(result.code, 0) << result.errors;
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) {
    submitted.jobs.push_back(submitted.job = line);
  }
  EXPECT_FALSE(submitted.job.empty());
  return submitted;
}

Words behind_dashes(Words words) {
  words.insert(words.begin(), "--");
  return words;
}

/// A run of two ranks on one node, halted in the middle by `hold`.
struct HeldRun {
  std::string name;
  fs::path folder;
  Submitted submitted;

  HeldRun(const std::string& run_name, const std::string& node, Words options)
      : name(run_name), folder(Cluster::folder() / run_name) {
    options.insert(options.end(), {"--ranks-per-node", "2", "--sbatch", "--nodelist=" + node});
    submitted = submit(kTrain, name, options, behind_dashes(train_words(folder)),
                       (Cluster::folder() / "hold").string(), "HELD_RUN=" + shell_line({folder.string()}));
  }
  void await_halt() const {
    for (const char* rank : {"0", "1"}) {
      EXPECT_TRUE(await([&] { return fs::exists(folder.string() + ".held-" + rank); }))
          << submitted.log_text() << state(submitted.job);
    }
    EXPECT_FALSE(fs::exists(folder / "result.json"));
  }
  /// It has gone on after a requeue, and left what an undisturbed run leaves.
  void expect_finished_after_requeue() const {
    EXPECT_TRUE(await([&] { return ended(submitted.job); })) << state(submitted.job) << submitted.log_text();
    EXPECT_EQ(state(submitted.job), "COMPLETED") << submitted.log_text();
    // At least: where this machine is slow, the time limit's signal comes again before the second part is
    // done.
    EXPECT_GE(std::atoi(field(submitted.job, "Restarts").c_str()), 1);
    EXPECT_EQ(files_of(folder), files_of(Cluster::folder() / "undisturbed")) << name;
  }
};

void expect_ended(const std::string& job, const std::string& how, const Submitted& submitted) {
  EXPECT_TRUE(await([&] { return ended(job); })) << submitted.log_text();
  EXPECT_EQ(state(job), how) << submitted.log_text();
}

/// The runs that get disturbed, each on a node of its own; they wait for their restart while other cases run.
struct Disturbed {
  HeldRun timed{"time-limit", "node4", {"--time", "20", "--stop-before", "570"}};
  HeldRun requeued{"requeue", "node1", {"--time", "10"}};
  HeldRun preempted{"preempt", "node2", {"--time", "10"}};
  HeldRun orphaned{"node-down", "node3", {"--time", "10"}};
  Submitted one_died;

  Disturbed() {
    for (const auto* run : {&timed, &requeued, &preempted, &orphaned}) {
      run->await_halt();
    }
    // Slurm looks at time limits every half minute: the signal comes then, since less than 570 s are left.
    // Not before the run is halted, however long that took.
    EXPECT_EQ(run_shell("scontrol update jobid=" + timed.submitted.job + " timelimit=9").code, 0);
    EXPECT_EQ(run_shell("scontrol requeue " + requeued.submitted.job).code, 0);
    EXPECT_EQ(
        run_shell("cd " + shell_line({Cluster::folder().string()}) +
                  " && sbatch --partition=high --nodelist=node2 --exclusive --time=1 --output=/dev/null "
                  "--wrap='sleep 1'")
            .code,
        0);
    EXPECT_EQ(run_shell("scontrol update nodename=node3 state=down reason=test").code, 0);
    EXPECT_EQ(run_shell("scontrol update nodename=node3 state=resume").code, 0);
    const auto program = write_script(Cluster::folder() / "one-dies",
                                      "((SLURM_PROCID == 0)) && kill -KILL $$\nexec sleep 300\n");
    // On the node whose run is looked at last: it holds its cores for a minute.
    one_died =
        submit(kTrain, "one-dies", {"--time", "10", "--ranks-per-node", "2", "--sbatch", "--nodelist=node3"},
               {"--", "train"}, program.string());
  }
};

const Disturbed& disturbed() {
  static const Disturbed runs;
  return runs;
}

// First, so that what follows passes the time until these runs start again.
TEST(Disturbance, MeetsFourRunsInTheMiddle) {
  disturbed();
}

TEST(Job, OnTwoNodesGivesTheBytesOfARunWithoutSlurm) {
  const auto run = submit(kTrain, "two-nodes", {"--time", "10", "--nodes", "2"},
                          behind_dashes(train_words(Cluster::folder() / "two-nodes")));
  expect_ended(run.job, "COMPLETED", run);
  EXPECT_EQ(files_of(Cluster::folder() / "two-nodes"), files_of(Cluster::folder() / "undisturbed"));
  const std::string info = content_of(Cluster::folder() / "two-nodes" / "run_info.json");
  EXPECT_TRUE(contains(info, "\"ranks\": 2")) << info;
}

TEST(Job, StartedByMpirunWithStagedDatasetsGivesTheSameBytes) {
  const fs::path own = Cluster::folder() / "own-disk";
  const auto run =
      submit(kTrain, "mpirun",
             {"--time", "10", "--ranks-per-node", "2", "--launcher", "mpirun", "--stage", own.string()},
             behind_dashes(train_words(Cluster::folder() / "mpirun")));
  expect_ended(run.job, "COMPLETED", run);
  EXPECT_EQ(files_of(Cluster::folder() / "mpirun"), files_of(Cluster::folder() / "undisturbed"));
  EXPECT_FALSE(fs::is_empty(own));
}

TEST(Job, WithoutAFolderToStageInIsRefusedWithTheRemedy) {
  const auto run =
      submit(kTrain, "stage", {"--time", "10", "--stage"},
             behind_dashes(train_words(Cluster::folder() / "stage")), MGRN_PROGRAM, "env -u SLURM_TMPDIR");
  expect_ended(run.job, "FAILED", run);
  EXPECT_EQ(field(run.job, "ExitCode"), "64:0");
  EXPECT_TRUE(contains(run.log_text(), "the variable SLURM_TMPDIR is not set")) << run.log_text();
}

TEST(Job, ThatFailsIsNotTriedAgain) {
  const auto run = submit(kTrain, "failing", {"--time", "10"},
                          behind_dashes({"train", "--data.dataset", "missing.h5", "--data.network", "n.csv",
                                         "--data.tfs", "t.csv", "--out", "failing"}));
  expect_ended(run.job, "FAILED", run);
  EXPECT_EQ(field(run.job, "ExitCode"), "65:0");
  EXPECT_EQ(field(run.job, "Restarts"), "0");
  EXPECT_FALSE(contains(run.log_text(), "back into the queue")) << run.log_text();
}

TEST(Job, ThatIsCancelledStopsWithACheckpointStaysCancelledAndCanGoOn) {
  const HeldRun run("cancelled", "node1", {"--time", "10"});
  run.await_halt();
  EXPECT_EQ(run_shell("scancel " + run.submitted.job).code, 0);
  expect_ended(run.submitted.job, "CANCELLED", run.submitted);
  EXPECT_TRUE(await([&] { return fs::exists(run.folder / "stopped"); })) << run.submitted.log_text();
  EXPECT_EQ(state(run.submitted.job), "CANCELLED");
  const auto again = submit(kTrain, "cancelled-again", {"--time", "10", "--ranks-per-node", "2"},
                            behind_dashes(train_words(run.folder)));
  expect_ended(again.job, "COMPLETED", again);
  EXPECT_EQ(files_of(run.folder), files_of(Cluster::folder() / "undisturbed"));
}

TEST(Job, StopsAskingAfterAsManyRequeuesAsAreAllowed) {
  const auto program = write_script(Cluster::folder() / "always-stops", "exit 75\n");
  const auto run =
      submit(kTrain, "bounded", {"--time", "10", "--requeues", "0"}, {"--", "train"}, program.string());
  expect_ended(run.job, "FAILED", run);
  EXPECT_EQ(field(run.job, "ExitCode"), "75:0");
  EXPECT_EQ(field(run.job, "Restarts"), "0");
  EXPECT_TRUE(contains(run.log_text(), "as often as --requeues allows")) << run.log_text();
}

TEST(Job, WithASignalBeforeTheProgramCouldTakeItGoesBackIntoTheQueue) {
  const auto program =
      write_script(Cluster::folder() / "deaf",
                   "((${SLURM_RESTART_COUNT:-0} == 0)) || exit 0\n"
                   "touch " +
                       shell_line({(Cluster::folder() / "deaf-runs").string()}) + "\nexec sleep 60\n");
  const auto run = submit(kTrain, "early-signal", {"--time", "10"}, {"--", "train"}, program.string());
  EXPECT_TRUE(await([&] { return fs::exists(Cluster::folder() / "deaf-runs"); })) << run.log_text();
  EXPECT_EQ(run_shell("scancel --batch --signal=USR1 " + run.job).code, 0);
  expect_ended(run.job, "COMPLETED", run);
  EXPECT_EQ(field(run.job, "Restarts"), "1") << run.log_text();
}

// srun of this cluster would kill the others as soon as the first one says 75.
TEST(Job, WhoseRanksStopOneAfterAnotherWaitsForTheLast) {
  const std::string marks = (Cluster::folder() / "slow-stop").string();
  const auto program =
      write_script(Cluster::folder() / "stops-slowly", R"(((${SLURM_RESTART_COUNT:-0} == 0)) || exit 0
trap 'stopping=yes' USR1
touch ")" + marks + R"(-began-$SLURM_PROCID"
until [[ -n ${stopping:-} ]]; do sleep 0.05; done
((SLURM_PROCID == 0)) || sleep 3
touch ")" + marks + R"(-ended-$SLURM_PROCID"
exit 75
)");
  const auto run = submit(kTrain, "slow-stop", {"--time", "10", "--ranks-per-node", "2"}, {"--", "train"},
                          program.string());
  for (const char* rank : {"0", "1"}) {
    EXPECT_TRUE(await([&] { return fs::exists(marks + "-began-" + rank); })) << run.log_text();
  }
  EXPECT_EQ(run_shell("scancel --batch --signal=USR1 " + run.job).code, 0);
  expect_ended(run.job, "COMPLETED", run);
  EXPECT_TRUE(fs::exists(marks + "-ended-1")) << run.log_text();
  EXPECT_EQ(field(run.job, "Restarts"), "1") << run.log_text();
}

TEST(Job, SrunWithoutPmixIsRefusedWithTheHint) {
  const auto run = submit(kTrain, "no-pmix", {"--time", "10", "--nodes", "2", "--mpi", "none"},
                          behind_dashes(train_words(Cluster::folder() / "no-pmix")));
  expect_ended(run.job, "FAILED", run);
  EXPECT_EQ(field(run.job, "ExitCode"), "76:0");
  EXPECT_TRUE(contains(run.log_text(), "hint: start with `srun --mpi=pmix`")) << run.log_text();
  EXPECT_FALSE(fs::exists(Cluster::folder() / "no-pmix"));
  const auto unknown = run_script(
      kTrain, {"--program", MGRN_PROGRAM, "--time", "10", "--mpi", "pmi9", "--", "train"}, Cluster::folder());
  EXPECT_EQ(unknown.code, 76) << unknown.errors;
  EXPECT_TRUE(contains(unknown.errors, "does not know --mpi=pmi9")) << unknown.errors;
}

TEST(Job, ABatchScriptThatForgotSrunIsRefusedWithTheHint) {
  const fs::path log = Cluster::folder() / "forgot.log";
  const auto script = write_script(Cluster::folder() / "forgot",
                                   "exec " + shell_line({MGRN_PROGRAM}) + " " +
                                       shell_line(train_words(Cluster::folder() / "forgot-run")) + "\n");
  const auto result = run_shell("sbatch --wait --ntasks=2 --time=1 --output=" + shell_line({log.string()}) +
                                " " + shell_line({script.string()}));
  EXPECT_EQ(result.code, 76) << result.errors;
  EXPECT_TRUE(contains(content_of(log), "has 2 tasks, and the program was started as one process"))
      << content_of(log);
  EXPECT_FALSE(fs::exists(Cluster::folder() / "forgot-run"));
}

TEST(Job, NodesWithDifferentNumbersOfGpusGetAsManyRanksEach) {
  const auto program =
      write_script(Cluster::folder() / "gpus", "echo \"$SLURMD_NODENAME sees $CUDA_VISIBLE_DEVICES.\"\n");
  const auto spread =
      submit(kTrain, "gpus-spread", {"--time", "10", "--gpus", "3"}, {"--", "train"}, program.string());
  expect_ended(spread.job, "COMPLETED", spread);
  std::istringstream lines(spread.log_text());
  std::multiset<std::string> seen;
  for (std::string line; std::getline(lines, line);) {
    if (contains(line, " sees ")) {
      seen.insert(line);
    }
  }
  EXPECT_EQ(seen, (std::multiset<std::string>{"node1 sees 0,1.", "node1 sees 0,1.", "node2 sees 0."}));
}

TEST(Job, DoctorNamesGpusThatTheProgramCannotUse) {
  const auto run = submit(kTrain, "doctor", {"--time", "10", "--gpus", "1"}, {"--", "doctor"});
  EXPECT_TRUE(await([&] { return ended(run.job); })) << run.log_text();
  EXPECT_TRUE(contains(run.log_text(), "1 task, 1 core each, 1 GPU on this node")) << run.log_text();
  // The GPUs of this cluster are names of /dev/null; where the machine has real ones, the program can use
  // them.
  if (contains(run.log_text(), "GPU that the CUDA kernels") ||
      contains(run.log_text(), "GPUs that the CUDA kernels")) {
    EXPECT_EQ(state(run.job), "COMPLETED");
  } else {
    EXPECT_EQ(field(run.job, "ExitCode"), "76:0") << run.log_text();
    EXPECT_TRUE(contains(run.log_text(), "the job holds GPUs that the program cannot use")) << run.log_text();
  }
}

TEST(Chain, FinetuningStartsFromThePretrainedWeightsAndOnlyThen) {
  const fs::path pre = Cluster::folder() / "pre";
  const fs::path fine = Cluster::folder() / "fine";
  Words command = behind_dashes(train_words(pre, "pretrain"));
  const Words second = behind_dashes(train_words(fine, "finetune"));
  command.insert(command.end(), second.begin(), second.end());
  // Without a target pretraining sees all of the sample; that finetune must be told of.
  command.insert(command.end(), {"--cross.leak", "same-dataset"});
  const auto chain = submit(kChain, "chain-%x", {"--time", "10"}, command);
  ASSERT_EQ(chain.jobs.size(), 2u);
  EXPECT_TRUE(await([&] { return ended(chain.jobs[1]); })) << state(chain.jobs[0]);
  EXPECT_EQ(state(chain.jobs[0]), "COMPLETED") << content_of(Cluster::folder() / "chain-pretrain.log");
  EXPECT_EQ(state(chain.jobs[1]), "COMPLETED") << content_of(Cluster::folder() / "chain-finetune.log");
  EXPECT_GE(field(chain.jobs[1], "StartTime"), field(chain.jobs[0], "EndTime"));
  EXPECT_TRUE(fs::exists(fine / "result.json"));
  const std::string info = content_of(fine / "run_info.json");
  EXPECT_TRUE(contains(info, (pre / "model.safetensors").string())) << info;
}

TEST(Chain, IsCancelledWhereItsFirstPartFails) {
  const auto program = write_script(Cluster::folder() / "fails", "exit 65\n");
  const auto chain =
      submit(kChain, "broken-%x", {"--time", "10"},
             {"--", "pretrain", "--out", "p", "--", "finetune", "--out", "f"}, program.string());
  ASSERT_EQ(chain.jobs.size(), 2u);
  expect_ended(chain.jobs[0], "FAILED", chain);
  expect_ended(chain.jobs[1], "CANCELLED", chain);
}

TEST(Grid, AnArrayLargerThanTheClusterAllowsIsCutAndAFailingShareHarmsNoOther) {
  const fs::path out = Cluster::folder() / "grid";
  std::ofstream(Cluster::folder() / "grid.ini") << "[grid]\n";
  const auto program =
      write_grid_program(Cluster::folder() / "grid-program", 9, "[[ $share != 1/* ]] || exit 65\n");
  const auto array = submit(kGrid, "grid-%a", {"--time", "10", "--config", "grid.ini", "--out", out.string()},
                            {}, program.string());
  std::map<std::string, std::string> ends;
  for (int share = 0; share < 6; ++share) {
    const std::string job = array.job + "_" + std::to_string(share);
    EXPECT_TRUE(await([&] { return ended(job); })) << state(job);
    EXPECT_EQ(state(job), share == 1 ? "FAILED" : "COMPLETED") << share;
    EXPECT_TRUE(fs::exists(out / "shares" / std::to_string(share) / "6" / "words")) << share;
  }
  EXPECT_FALSE(contains(run_shell("scontrol show job -o " + array.job).output, "ArrayTaskId=6"));
}

/// Attempts at each run of a grid of one setting.
std::vector<int> attempts_at_runs(const fs::path& out, int runs) {
  std::vector<int> attempts;
  for (int run = 1; run <= runs; ++run) {
    const fs::path claims =
        out / "tasks" / ("small.multigrnformer.standard.run-" + std::to_string(run)) / "claims";
    attempts.push_back(
        fs::exists(claims) ? static_cast<int>(std::distance(fs::directory_iterator(claims), {})) : 0);
  }
  return attempts;
}

TEST(Grid, WhoseTaskIsKilledIsSubmittedAgainAndRepeatsThatTaskAlone) {
  std::ofstream grid(Cluster::folder() / "runs.ini");
  grid << "[grid]\nsettings = small\nruns = 1..3\n[setting.small]\ndata.dataset = "
       << small_case().dataset.string() << "\n[data]\nnetwork = " << small_case().network.string()
       << "\ntfs = " << small_case().tfs.string()
       << "\n[model]\ncells = 24\nhidden = 16\n[train]\nepochs = 40\nbatch = 32\ncheckpoint_every = 20\n";
  grid.close();
  const fs::path out = Cluster::folder() / "runs";
  const fs::path alone = Cluster::folder() / "runs-alone";
  // The program, but for the second share, which is killed once in the middle of its task.
  const std::string second = (out / "tasks" / "small.multigrnformer.standard.run-2").string();
  const auto program = write_script(Cluster::folder() / "killed-once", R"(")" MGRN_PROGRAM R"(" "$@" &
child=$!
trap 'kill -USR1 "$child"' USR1 TERM
if [[ "$*" == *"--chunk 1/3"* && ! -e ")" + second + R"(.killed" ]]; then
  until [[ -s ")" + second + R"(/metrics.jsonl" ]]; do
    kill -0 "$child" || exit 1
    sleep 0.01
  done
  touch ")" + second + R"(.killed"
  kill -KILL "$child"
fi
while kill -0 "$child" 2>/dev/null; do wait "$child"; done
wait "$child"
)");
  const Words options = {"--time", "10", "--config", "runs.ini", "--out", out.string()};
  const auto array = submit(kGrid, "runs-%a", options, {}, program.string());
  for (int share = 0; share < 3; ++share) {
    const std::string job = array.job + "_" + std::to_string(share);
    const std::string log = content_of(Cluster::folder() / ("runs-" + std::to_string(share) + ".log"));
    EXPECT_TRUE(await([&] { return ended(job); })) << state(job) << log;
    EXPECT_EQ(state(job), share == 1 ? "FAILED" : "COMPLETED") << share << log;
  }
  EXPECT_EQ(field(array.job + "_1", "ExitCode"), "137:0");
  EXPECT_EQ(attempts_at_runs(out, 3), (std::vector<int>{1, 1, 1}));
  EXPECT_FALSE(fs::exists(fs::path(second) / "result.json"));

  const auto again = submit(kGrid, "runs-again-%a", options, {}, program.string());
  for (int share = 0; share < 3; ++share) {
    const std::string job = again.job + "_" + std::to_string(share);
    EXPECT_TRUE(await([&] { return ended(job); })) << state(job);
    EXPECT_EQ(state(job), "COMPLETED")
        << content_of(Cluster::folder() / ("runs-again-" + std::to_string(share) + ".log"));
  }
  EXPECT_EQ(attempts_at_runs(out, 3), (std::vector<int>{1, 2, 1}));
  EXPECT_EQ(run_program({"grid", "report", "--out", out.string()}).code, 0);
  ASSERT_EQ(run_program({"grid", "run", "--config", (Cluster::folder() / "runs.ini").string(), "--out",
                         alone.string()})
                .code,
            0);
  for (const char* run : {"1", "2", "3"}) {
    const std::string name = std::string("small.multigrnformer.standard.run-") + run;
    EXPECT_EQ(files_of(out / "tasks" / name), files_of(alone / "tasks" / name)) << name;
  }
  EXPECT_EQ(content_of(out / "results.csv"), content_of(alone / "results.csv"));
}

TEST(DisturbedRun, RequeuedByHandGivesTheSameBytes) {
  const HeldRun& run = disturbed().requeued;
  run.expect_finished_after_requeue();
  EXPECT_TRUE(contains(run.submitted.log_text(), "stopped on signal")) << run.submitted.log_text();
}

TEST(DisturbedRun, PreemptedByAHigherPartitionGivesTheSameBytes) {
  const HeldRun& run = disturbed().preempted;
  run.expect_finished_after_requeue();
  EXPECT_TRUE(contains(run.submitted.log_text(), "stopped on signal")) << run.submitted.log_text();
}

TEST(DisturbedRun, OnANodeThatWentDownGivesTheSameBytes) {
  disturbed().orphaned.expect_finished_after_requeue();
}

TEST(DisturbedRun, OfWhichOneRankDiedEndsWithinAMinuteInsteadOfWaitingForIt) {
  const Submitted& run = disturbed().one_died;
  expect_ended(run.job, "FAILED", run);
  EXPECT_EQ(field(run.job, "ExitCode"), "137:0") << run.log_text();
  EXPECT_EQ(field(run.job, "Restarts"), "0");
}

TEST(DisturbedRun, NearItsTimeLimitStopsWithACheckpointAndGivesTheSameBytes) {
  const HeldRun& run = disturbed().timed;
  run.expect_finished_after_requeue();
  EXPECT_TRUE(contains(run.submitted.log_text(), "stopped on signal 10")) << run.submitted.log_text();
  EXPECT_TRUE(contains(run.submitted.log_text(), "back into the queue (restart 1)"))
      << run.submitted.log_text();
}

}  // namespace
}  // namespace mgrn::test
