// SPDX-License-Identifier: Apache-2.0
// Grids as users run them: alone, on ranks, as shares, isolated; killed, stopped, with a task that fails.
// Whatever happens on the way, the folder ends as that of an undisturbed run, byte for byte.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/formats/table.hpp"
#include "program/background.hpp"
#include "program/run_program.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using mgrn::base::Json;
using mgrn::base::read_file;
using mgrn::test::Background;
using mgrn::test::mpiexec;
using mgrn::test::program_path;
using mgrn::test::ProgramResult;
using mgrn::test::ranks_below;
using mgrn::test::run_program;
using mgrn::test::run_shell;
using mgrn::test::TemporaryDirectory;
using mgrn::test::wait_until;

constexpr const char* kGrid = R"([grid]
settings = human, mouse
strategies = standard, augment, cross, both, zero-shot
runs = 1

[simulate]
rules_seed = 7
cells = 300
genes = 120
tfs = 15
peaks = 600

[dataset.human]
simulate.organism = human
simulate.seed = 2

[dataset.mouse]
simulate.organism = mouse
simulate.seed = 1

[setting.human]
dataset = human

[setting.mouse]
dataset = mouse

[data]
genes = all

[model]
cells = 24
hidden = 16

[train]
epochs = 40
)";
constexpr std::size_t kTasks = 18;
constexpr std::size_t kResults = 10;

void write(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

ProgramResult grid(const std::string& action, const fs::path& out, std::vector<std::string> more = {},
                   int ranks = 0) {
  std::vector<std::string> arguments = {"grid", action, "--out", out.string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_program(arguments, ranks);
}

std::map<std::string, std::string> states(const fs::path& out) {
  std::map<std::string, std::string> states;
  const auto result = grid("status", out, {"--json"});
  EXPECT_EQ(result.code, 0) << result.errors;
  const Json json = Json::parse(result.output);
  for (const auto& task : json.at("tasks")) {
    states[task.at("name").get<std::string>()] = task.at("state").get<std::string>();
  }
  return states;
}

std::size_t count_of(const std::map<std::string, std::string>& states, const std::string& state) {
  return static_cast<std::size_t>(
      std::count_if(states.begin(), states.end(), [&](const auto& entry) { return entry.second == state; }));
}

std::set<std::string> tasks_in_state(const fs::path& out, const std::string& state) {
  std::set<std::string> names;
  for (const auto& [name, its_state] : states(out)) {
    if (its_state == state) {
      names.insert(name);
    }
  }
  return names;
}

/// Attempts by task.
std::map<std::string, int> attempts(const fs::path& out) {
  std::map<std::string, int> count;
  for (const auto& task : fs::directory_iterator(out / "tasks")) {
    const fs::path claims = task.path() / "claims";
    count[task.path().filename().string()] =
        fs::exists(claims) ? static_cast<int>(std::distance(fs::directory_iterator(claims), {})) : 0;
  }
  return count;
}

/// All bytes that two runs of the same grid must share, by file.
std::map<std::string, std::string> promised_bytes(const fs::path& out) {
  const std::set<std::string> promised = {"plan.json",   "results.csv",       "config.ini",
                                          "split.csv",   "model.safetensors", "predictions.csv",
                                          "result.json", "network.csv"};
  std::map<std::string, std::string> bytes;
  for (const auto& entry : fs::recursive_directory_iterator(out)) {
    if (entry.is_regular_file() && promised.contains(entry.path().filename().string()) &&
        entry.path().string().find("/checkpoints/") == std::string::npos) {
      bytes[fs::relative(entry.path(), out).string()] = read_file(entry.path());
    }
  }
  return bytes;
}

void expect_same(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b) {
  for (const auto& [file, bytes] : a) {
    const auto place = b.find(file);
    ASSERT_NE(place, b.end()) << file;
    EXPECT_TRUE(place->second == bytes) << file << " differs";
  }
  EXPECT_EQ(a.size(), b.size());
}

/// The grid and what an undisturbed run of it leaves. Runs are made in the same place one after the other,
/// since config.ini holds paths.
class Grid : public testing::Test {
 public:
  static void SetUpTestSuite() {
    folder_ = new TemporaryDirectory;
    write(*folder_ / "grid.ini", kGrid);
    const auto result = grid("run", out(), {"--config", config()});
    ASSERT_EQ(result.code, 0) << result.errors;
    reference_ = new std::map<std::string, std::string>(promised_bytes(out()));
    ASSERT_GT(reference_->size(), kTasks);
    report_ = new std::map<std::string, std::string>(report_bytes());
    fs::remove_all(out());
  }
  static void TearDownTestSuite() {
    delete report_;
    delete reference_;
    delete folder_;
  }
  void TearDown() override { fs::remove_all(out()); }

  static fs::path out() { return *folder_ / "out"; }
  static std::string config() { return (*folder_ / "grid.ini").string(); }
  static fs::path file(const std::string& name) { return *folder_ / name; }
  static void plan() {
    const auto result = grid("plan", out(), {"--config", config()});
    ASSERT_EQ(result.code, 0) << result.errors;
  }
  /// Place of a task in the plan.
  static std::size_t index_of(const std::string& name) {
    const Json plan = mgrn::base::read_json(out() / "plan.json");
    for (const auto& task : plan.at("tasks")) {
      if (task.at("name") == name) {
        return task.at("index").get<std::size_t>();
      }
    }
    throw std::runtime_error("no task " + name);
  }
  static const std::string& reference(const std::string& file) { return reference_->at(file); }
  static void expect_undisturbed() {
    EXPECT_EQ(count_of(states(out()), "done"), kTasks);
    expect_same(*reference_, promised_bytes(out()));
  }
  static void expect_undisturbed_report() { expect_same(*report_, report_bytes()); }

 private:
  /// What a report leaves beside the tasks.
  static std::map<std::string, std::string> report_bytes() {
    const auto result = grid("report", out(), {"--pdf", "no"});
    EXPECT_EQ(result.code, 0) << result.errors;
    std::map<std::string, std::string> bytes;
    for (const char* name : {"report.html", "results.csv", "summary.csv", "comparisons.csv"}) {
      bytes[name] = read_file(out() / name);
    }
    for (const auto& entry : fs::directory_iterator(out() / "figures")) {
      bytes[entry.path().filename().string()] = read_file(entry.path());
    }
    EXPECT_GT(bytes.size(), 10U);
    return bytes;
  }

  static TemporaryDirectory* folder_;
  static std::map<std::string, std::string>* reference_;
  static std::map<std::string, std::string>* report_;
};
TemporaryDirectory* Grid::folder_ = nullptr;
std::map<std::string, std::string>* Grid::reference_ = nullptr;
std::map<std::string, std::string>* Grid::report_ = nullptr;

std::size_t ended_tasks(const fs::path& out) {
  std::size_t count = 0;
  std::error_code code;
  for (fs::directory_iterator entry(out / "tasks", code), end; !code && entry != end; entry.increment(code)) {
    count += fs::exists(entry->path() / "state.json") ? 1 : 0;
  }
  return count;
}

TEST_F(Grid, PlanIsTheSameBytesInAnyFolderAndRunsNothing) {
  plan();
  const std::string text = read_file(out() / "plan.json");
  plan();
  EXPECT_EQ(read_file(out() / "plan.json"), text);
  const auto elsewhere = grid("plan", file("elsewhere"), {"--config", config()});
  EXPECT_EQ(elsewhere.code, 0) << elsewhere.errors;
  EXPECT_NE(elsewhere.output.find("18 tasks: 6 finetune, 2 prepare, 4 pretrain, 2 simulate, 4 train"),
            std::string::npos)
      << elsewhere.output;
  EXPECT_EQ(read_file(file("elsewhere") / "plan.json"), text);
  EXPECT_EQ(std::distance(fs::directory_iterator(out() / "tasks"), {}), static_cast<std::ptrdiff_t>(kTasks));
  EXPECT_EQ(count_of(states(out()), "waiting"), kTasks);
}

TEST_F(Grid, LeavesATidyTableAndSaysMeanAndDeviation) {
  const auto result = grid("run", out(), {"--config", config()});
  ASSERT_EQ(result.code, 0) << result.errors;
  EXPECT_NE(result.output.find("AUROC within TFs"), std::string::npos) << result.output;
  const auto table = mgrn::formats::Table::read(out() / "results.csv");
  EXPECT_EQ(table.rows(), kResults);
  EXPECT_EQ(table.column("strategy").at(1), "augment");
  for (const char* column :
       {"auroc", "random_auroc", "degree_auroc", "average_precision", "within_tf_auroc"}) {
    for (const double value : table.numbers(column)) {
      EXPECT_GT(value, 0.0) << column;
      EXPECT_LT(value, 1.0) << column;
    }
  }
  const Json first = mgrn::base::read_json(out() / "tasks/human.multigrnformer.standard.run-1/result.json");
  EXPECT_EQ(table.numbers("auroc").at(0), first.at("auroc").get<double>());
  // Nothing is done twice; the report is the same.
  const auto before = attempts(out());
  EXPECT_EQ(grid("run", out()).code, 0);
  EXPECT_EQ(attempts(out()), before);
  const std::string report = grid("report", out(), {"--pdf", "no"}).output;
  EXPECT_EQ(report.find("setting "), 0U) << report;
  EXPECT_NE(report.find("report in " + (out() / "report.html").string()), std::string::npos) << report;
  EXPECT_EQ(result.output.find(report.substr(0, report.find("report in"))), 0U) << report;
  EXPECT_EQ(run_program({"report", "--out", out().string(), "--pdf", "no"}, 2).output, report)
      << "the same on ranks";
  expect_undisturbed();
}

TEST_F(Grid, GroupsOfRanksGiveTheSameBytes) {
  for (const auto& [ranks, per_task] : {std::pair(2, 1), std::pair(4, 2), std::pair(3, 1)}) {
    const auto result =
        grid("run", out(), {"--config", config(), "--ranks-per-task", std::to_string(per_task)}, ranks);
    EXPECT_EQ(result.code, 0) << result.errors;
    for (const auto& [task, count] : attempts(out())) {
      EXPECT_EQ(count, 1) << task;
    }
    expect_undisturbed();
    fs::remove_all(out());
  }
}

TEST_F(Grid, TwoProgramsOnOneFolderRunEachTaskOnce) {
  plan();
  const std::string command = program_path() + " grid run --out '" + out().string() + "'";
  Background first(command, file("first.log"));
  Background second(command, file("second.log"));
  EXPECT_EQ(first.wait(), 0) << first.output();
  EXPECT_EQ(second.wait(), 0) << second.output();
  for (const auto& [task, count] : attempts(out())) {
    EXPECT_EQ(count, 1) << task;
  }
  EXPECT_NE(first.output().find("begins"), std::string::npos) << "one of them found nothing to do";
  EXPECT_NE(second.output().find("begins"), std::string::npos) << "one of them found nothing to do";
  expect_undisturbed();
}

TEST_F(Grid, SharesBringWhatTheyNeedAndTogetherDoAll) {
  plan();
  const auto one =
      grid("run", out(), {"--task", std::to_string(index_of("human.multigrnformer.cross.run-1"))});
  EXPECT_EQ(one.code, 0) << one.errors;
  EXPECT_EQ(tasks_in_state(out(), "done"),
            (std::set<std::string>{"data.human.prepare", "data.human.simulate", "data.mouse.prepare",
                                   "data.mouse.simulate", "human.multigrnformer.cross.run-1",
                                   "human.pretrain.cross.run-1"}));
  std::vector<std::unique_ptr<Background>> shares;
  for (int i = 0; i < 3; ++i) {
    shares.push_back(std::make_unique<Background>(
        program_path() + " grid run --out '" + out().string() + "' --chunk " + std::to_string(i) + "/3",
        file("share-" + std::to_string(i) + ".log")));
  }
  for (auto& share : shares) {
    EXPECT_EQ(share->wait(), 0) << share->output();
  }
  for (const auto& [task, count] : attempts(out())) {
    EXPECT_EQ(count, 1) << task;
  }
  expect_undisturbed();
}

/// Kills in the middle; the next run repeats only what ran.
void kill_and_rerun(const std::string& command, const std::function<pid_t(pid_t)>& victim, int groups,
                    int next_ranks) {
  std::map<std::string, std::string> done;
  {
    Background run(command, Grid::file("killed.log"));
    ASSERT_TRUE(wait_until([&] { return ended_tasks(Grid::out()) >= 6; })) << run.output();
    ::kill(victim(run.pid()), SIGKILL);
    EXPECT_NE(run.wait(), 0);
  }
  const auto before = states(Grid::out());
  EXPECT_GE(count_of(before, "done"), 6U);
  EXPECT_LT(count_of(before, "done"), kTasks) << "it was not killed in the middle";
  const auto interrupted = count_of(before, "interrupted");
  EXPECT_LE(interrupted, static_cast<std::size_t>(groups));
  EXPECT_EQ(count_of(before, "running"), 0U) << "a process of this machine that is gone is known to be gone";
  const auto attempts_before = attempts(Grid::out());
  const auto result = grid("run", Grid::out(), {}, next_ranks);
  EXPECT_EQ(result.code, 0) << result.errors;
  for (const auto& [task, count] : attempts(Grid::out())) {
    const bool was_done = before.at(task) == "done";
    EXPECT_EQ(count, attempts_before.at(task) + (was_done ? 0 : 1)) << task << " was " << before.at(task);
  }
  Grid::expect_undisturbed();
  Grid::expect_undisturbed_report();
}

TEST_F(Grid, KilledInTheMiddleItRepeatsOnlyTheTaskThatRan) {
  plan();
  kill_and_rerun(
      program_path() + " grid run --out '" + out().string() + "'", [](pid_t pid) { return pid; }, 1, 0);
}

TEST_F(Grid, AKilledRankEndsTheJobAndTheNextRunRepeatsOnlyTheTasksThatRan) {
  plan();
  kill_and_rerun(
      mpiexec(2) + program_path() + " grid run --out '" + out().string() + "'",
      [](pid_t pid) {
        const auto ranks = ranks_below(pid);
        EXPECT_EQ(ranks.size(), 2U);
        return ranks.empty() ? pid : ranks.back();
      },
      2, 3);
}

TEST_F(Grid, AStopSignalLeavesCheckpointsAndTheNextRunGoesOn) {
  plan();
  Background run(program_path() + " grid run --out '" + out().string() + "'", file("stopped.log"));
  ASSERT_TRUE(wait_until([&] { return ended_tasks(out()) >= 6; })) << run.output();
  ::kill(run.pid(), SIGUSR1);
  EXPECT_EQ(run.wait(), 75) << run.output();
  EXPECT_NE(run.output().find("the grid was stopped on a signal"), std::string::npos) << run.output();
  EXPECT_LT(count_of(states(out()), "done"), kTasks);
  const auto result = grid("run", out());
  EXPECT_EQ(result.code, 0) << result.errors;
  expect_undisturbed();
}

TEST_F(Grid, ATaskThatFailsHarmsOnlyThoseThatNeedItAndIsRunAgainWhenAskedFor) {
  std::string text = kGrid;
  text.replace(text.find("dataset = mouse"), 15, "dataset = mouse\ndata.tfs = factors.csv");
  write(file("failing.ini"), text);
  const auto failed = grid("run", out(), {"--config", file("failing.ini").string()}, 2);
  EXPECT_EQ(failed.code, 65) << failed.errors;
  EXPECT_NE(failed.errors.find("factors.csv"), std::string::npos) << failed.errors;
  EXPECT_NE(failed.errors.find("--retry"), std::string::npos) << failed.errors;
  const auto after = states(out());
  for (const char* strategy : {"standard", "augment"}) {
    EXPECT_EQ(after.at(std::string("human.multigrnformer.") + strategy + ".run-1"), "done");
    EXPECT_EQ(after.at(std::string("mouse.multigrnformer.") + strategy + ".run-1"), "failed");
  }
  EXPECT_EQ(after.at("mouse.pretrain.cross.run-1"), "failed");
  EXPECT_EQ(after.at("mouse.multigrnformer.zero-shot.run-1"), "blocked");
  const auto status = grid("status", out());
  EXPECT_EQ(status.code, 0);
  EXPECT_NE(status.output.find("failed       mouse.multigrnformer.standard.run-1: "), std::string::npos)
      << status.output;
  EXPECT_NE(status.output.find("factors.csv"), std::string::npos) << status.output;
  EXPECT_EQ(mgrn::formats::Table::read(out() / "results.csv").rows(), 2U);

  fs::copy_file(out() / "tasks/data.mouse.simulate/tfs.csv", file("factors.csv"));
  EXPECT_EQ(grid("run", out()).code, 65) << "without --retry failures stay failures";
  const auto retried = grid("run", out(), {"--retry"});
  EXPECT_EQ(retried.code, 0) << retried.errors;
  EXPECT_EQ(mgrn::formats::Table::read(out() / "results.csv").rows(), kResults);
}

// The launcher of this test kills the program of one task, once.
TEST_F(Grid, IsolatedATaskThatIsKilledHarmsNobody) {
  plan();
  write(file("launcher.sh"),
        "#!/bin/sh\ncase \"$*\" in *human.multigrnformer.standard.run-1*)\n"
        "  [ -e '" +
            file("killed-once").string() + "' ] || { : >'" + file("killed-once").string() +
            "'; kill -9 $$; } ;;\nesac\nexec \"$@\"\n");
  fs::permissions(file("launcher.sh"), fs::perms::owner_all);
  const auto launcher = file("launcher.sh").string();
  const auto result = grid("run", out(), {"--isolate", "--launcher", launcher, "--at-once", "2"});
  EXPECT_EQ(result.code, 76) << result.errors;
  EXPECT_NE(result.errors.find("killed by signal 9"), std::string::npos) << result.errors;
  EXPECT_EQ(count_of(states(out()), "done"), kTasks - 1);
  EXPECT_EQ(tasks_in_state(out(), "killed"), std::set<std::string>{"human.multigrnformer.standard.run-1"});
  const auto again = grid("run", out(), {"--isolate", "--launcher", launcher});
  EXPECT_EQ(again.code, 0) << again.errors;
  EXPECT_EQ(attempts(out()).at("human.multigrnformer.standard.run-1"), 2);
  EXPECT_EQ(attempts(out()).at("human.multigrnformer.cross.run-1"), 1);
  expect_undisturbed();
}

TEST_F(Grid, IsolatedTasksOfSeveralRanksGiveTheSameBytes) {
  plan();
  const std::string name = "human.multigrnformer.standard.run-1";
  const auto result = grid("run", out(),
                           {"--isolate", "--ranks-per-task", "2", "--launcher",
                            std::string(MGRN_MPIEXEC) + " " + MGRN_MPIEXEC_FLAGS + " {ranks}", "--task",
                            std::to_string(index_of(name))});
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_EQ(count_of(states(out()), "done"), 3U) << "it, and the two that make its dataset";
  for (const char* file : {"config.ini", "model.safetensors", "predictions.csv", "result.json"}) {
    EXPECT_TRUE(read_file(out() / "tasks" / name / file) == reference("tasks/" + name + "/" + file)) << file;
  }
  const auto log = read_file(out() / "tasks" / name / "task.log");
  EXPECT_NE(log.find("2 ranks"), std::string::npos) << log;
}

TEST_F(Grid, AnIsolatedTaskThatFailsIsKnownByItsError) {
  std::string text = kGrid;
  text.replace(text.find("dataset = mouse"), 15, "dataset = mouse\ndata.tfs = nowhere.csv");
  write(file("failing.ini"), text);
  const auto failed = grid(
      "run", out(), {"--config", file("failing.ini").string(), "--isolate", "--grid.strategies", "standard"});
  EXPECT_EQ(failed.code, 65) << failed.errors;
  EXPECT_EQ(states(out()).at("mouse.multigrnformer.standard.run-1"), "failed");
  EXPECT_NE(grid("status", out()).output.find("nowhere.csv"), std::string::npos);
  EXPECT_EQ(states(out()).at("human.multigrnformer.standard.run-1"), "done");
}

TEST_F(Grid, AStopSignalIsPassedOnToIsolatedTasks) {
  plan();
  Background run(program_path() + " grid run --isolate --out '" + out().string() + "'", file("stopped.log"));
  ASSERT_TRUE(wait_until([&] { return ended_tasks(out()) >= 6; })) << run.output();
  ::kill(run.pid(), SIGUSR1);
  EXPECT_EQ(run.wait(), 75) << run.output();
  const auto result = grid("run", out());
  EXPECT_EQ(result.code, 0) << result.errors;
  expect_undisturbed();
}

// A parent that ignores SIGCHLD hands that down: no task was seen to end, and no signal ended the waiting.
TEST_F(Grid, IsolatedTasksAreSeenToEndUnderAParentThatIgnoresItsChildren) {
  plan();
  const std::string name = "data.human.simulate";
  Background run("env --ignore-signal=CHLD " + program_path() + " grid run --isolate --out '" +
                     out().string() + "' --task " + std::to_string(index_of(name)),
                 file("ignored.log"));
  ASSERT_TRUE(wait_until([&] { return run.ended(); }, 60)) << run.output();
  EXPECT_EQ(run.wait(), 0) << run.output();
  EXPECT_EQ(states(out()).at(name), "done");
}

TEST_F(Grid, TheShippedSmokeGridMakesItsDataAndItsResults) {
  const auto result = grid("run", out(),
                           {"--config", mgrn::test::source_path("configs/smoke.ini"), "--train.epochs", "1",
                            "--model.cells", "16"},
                           2);
  EXPECT_EQ(result.code, 0) << result.errors;
  EXPECT_EQ(mgrn::formats::Table::read(out() / "results.csv").rows(), 30U);
}

TEST_F(Grid, WhatIsWrongIsSaidBeforeAnythingBegins) {
  struct Bad {
    int code;
    std::string from, to;  ///< change of the file
    std::string says;
  };
  const std::vector<Bad> cases = {
      {64, "epochs = 40", "epoks = 4", "unknown key train.epoks (rank 0, file"},
      {64, "epochs = 40", "epochs = many", "illegal value of train.epochs"},
      {64, "runs = 1", "runs = 1..", "illegal list of runs"},
      {64, "runs = 1", "runz = 1", "expected grid.runs"},
      {64, "runs = 1", "methods = grnboost3", "unknown method grnboost3"},
      {64, "settings = human, mouse", "settings = human, mose", "setting mose has no section"},
      {64, "[dataset.human]", "[datasets.human]", "unknown key"},
      {64, "[setting.human]", "[setting]", "a section of the grid without a name"},
      {64, "[train]", "[job.training]\ntrain.clip = 1\n[train]", "unknown job training"},
      {64, "[model]", "[pairs]\nseed = 4\n[model]", "the grid itself sets pairs.seed"},
      {64, "dataset = human", "data.set = human", "unknown key data.set"},
      {64, "hidden = 16", "hidden = 16\nhidden = 8", "key model.hidden is given twice"},
      {64, "simulate.seed = 2", "simulate.seed = 2\nsimulate.tfs = 500", "illegal value of simulate.genes"},
  };
  for (const auto& bad : cases) {
    std::string text = kGrid;
    // Without its line breaks the value could stand inside another.
    const auto at = text.find(bad.from + "\n");
    ASSERT_NE(at, std::string::npos) << bad.from;
    text.replace(at, bad.from.size(), bad.to);
    write(file("bad.ini"), text);
    const auto result = grid("run", out(), {"--config", file("bad.ini").string()});
    EXPECT_EQ(result.code, bad.code) << bad.to << "\n" << result.errors;
    EXPECT_NE(result.errors.find(bad.says), std::string::npos) << bad.to << "\n" << result.errors;
    EXPECT_NE(result.errors.find("\nhint: "), std::string::npos) << result.errors;
    EXPECT_FALSE(fs::exists(out())) << bad.to;
  }
}

TEST_F(Grid, WrongUseIsRefusedWithTheNextStep) {
  const auto expect = [](const ProgramResult& result, int code, const std::string& says) {
    EXPECT_EQ(result.code, code) << result.errors;
    EXPECT_NE(result.errors.find(says), std::string::npos) << result.errors;
  };
  expect(grid("run", out()), 65, "not the folder of a grid");
  expect(run_program({"report", "--out", out().string()}), 65, "not the folder of a grid");
  expect(run_program({"report"}), 64, "key out is missing");
  expect(run_program({"report", "--out", out().string(), "--pdf", "maybe"}), 64, "pdf");
  expect(grid("plan", out()), 64, "key config is missing");
  expect(grid("plan", out(), {"--config", file("nix.ini").string()}), 65, "cannot open config file");
  expect(run_program({"grid", "run"}), 64, "key out is missing");
  expect(run_program({"grid", "--out", out().string()}), 64, "grid is not told what to do");
  expect(run_program({"grid", "runn", "--out", out().string()}), 64, "did you mean run?");
  plan();
  expect(grid("run", out(), {"--task", "18"}), 64, "expected 0 to 17, got 18");
  for (const char* chunk : {"3/3", "a/2", "1", "-1/2", "0/0"}) {
    expect(grid("run", out(), {"--chunk", chunk}), 64, "I/N with I from 0 to N - 1");
  }
  expect(grid("run", out(), {"--chunk", "0/2", "--task", "1"}), 64, "--task or --chunk");
  expect(grid("run", out(), {"--ranks-per-task", "2"}), 64, "a task cannot have that many ranks");
  expect(grid("run", out(), {"--isolate"}, 2), 64, "--isolate starts the ranks of each task itself");
  expect(grid("run", out(), {"--isolate", "--launcher", "no-such-launcher"}), 64,
         "cannot start no-such-launcher");
  expect(grid("run", out(), {"--isolate", "--launcher", "srun", "--ranks-per-task", "2"}), 64,
         "expected {ranks} in it");
  EXPECT_EQ(count_of(states(out()), "waiting"), kTasks);
}

}  // namespace
