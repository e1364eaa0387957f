// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/race.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "experiments/small_plans.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/experiments/search_results.hpp"
#include "multigrnformer/formats/table.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;
using mgrn::test::TemporaryDirectory;
using Points = std::set<std::uint64_t>;

TEST(BestPoints, AreTheShareRoundedUpAndTheFirstOfEquals) {
  const std::map<std::uint64_t, double> means = {{1, 0.5}, {2, 0.7}, {3, 0.7}, {4, 0.6}, {5, std::nan("")}};
  EXPECT_EQ(best_points(means, 0.5), (Points{2, 3, 4}));
  EXPECT_EQ(best_points(means, 0.2), (Points{2}));
  EXPECT_EQ(best_points(means, 0), (Points{2}));
  EXPECT_EQ(best_points(means, 0.8), (Points{1, 2, 3, 4}));
  EXPECT_EQ(best_points(means, 1).size(), 5U);
  EXPECT_EQ(best_points({{1, std::nan("")}, {2, std::nan("")}}, 0.5), (Points{1}));
}

/// A search over four points and three folds that halves the field after each fold: 4, 2, 1.
class Halving : public testing::Test {
 protected:
  Halving() {
    GridFile grid;
    grid.file = "grid.ini";
    grid.settings = {"human"};
    grid.strategies = {"search"};
    grid.setting_keys["human"] = {{"data.dataset", "/data/human.h5"},
                                  {"data.network", "/data/net.csv"},
                                  {"data.tfs", "/data/tfs.csv"},
                                  {"train.epochs", "4"}};
    grid.search.values = {{"model.cells", {"100", "200"}}, {"model.layers", {"1", "2"}}};
    grid.search.folds = 3;
    grid.search.keep = 0.5;
    plan_ = make_plan(grid, [](const PlannedTask&) { return std::uint64_t{10}; });
    write_plan(folder_.path(), plan_);
  }

  static std::string name(int point, int fold) {
    return "human.search.run-1.point-" + std::to_string(point) + ".fold-" + std::to_string(fold);
  }
  std::size_t task(int point, int fold) const { return plan_.index_of(name(point, fold)); }

  void finish(std::size_t task, double auroc) const {
    const fs::path folder = task_folder(folder_.path(), plan_.tasks[task].name);
    base::write_file_atomically(folder / "result.json",
                                base::json_text({{"auroc", auroc}, {"degree_auroc", 0.8}}));
    write_ending(folder, plan_.tasks[task].digest, 1, this_claimant("launch"), {.state = TaskState::done});
  }

  /// Runs the search to its end as one group of ranks would; the score of a point is the same in all folds.
  std::vector<std::string> run(const std::map<std::uint64_t, double>& scores) const {
    std::vector<std::string> order;
    TaskQueue queue(plan_, test::options_for(plan_, folder_.path()));
    for (auto next = queue.next(); next.step == TaskQueue::Step::run; next = queue.next()) {
      finish(next.task, scores.at(plan_.tasks[next.task].race->point));
      order.push_back(plan_.tasks[next.task].name);
    }
    return order;
  }

  std::map<std::string, TaskState> states() const {
    std::map<std::string, TaskState> states;
    for (const auto& task : grid_status(plan_, folder_.path(), system_evidence())) {
      states[plan_.tasks[task.task].name] = task.blocked ? TaskState::failed : task.status.state;
    }
    return states;
  }

  TemporaryDirectory folder_;
  Plan plan_;
};

TEST_F(Halving, IsTrainingsOnFoldsOfTheTrainingPairs) {
  EXPECT_EQ(plan_.tasks.size(), 4U * 3U);
  const PlannedTask& third = plan_.tasks[task(3, 2)];
  EXPECT_EQ(third.command, "train");
  EXPECT_EQ(third.keys.at("pairs.fold"), "2/3");
  EXPECT_EQ(third.keys.at("model.cells"), "200");
  EXPECT_EQ(third.keys.at("model.layers"), "1");
  EXPECT_EQ(third.keys.at("train.epochs"), "4");
  EXPECT_EQ(third.keys.at("pairs.seed"), "1");
  EXPECT_EQ(third.needs, std::vector<std::string>{name(3, 1)});
  EXPECT_FALSE(third.result.has_value());
  EXPECT_EQ(read_plan(folder_.path()).text(), plan_.text());
}

TEST_F(Halving, RunsTheFirstFoldOfAllAndLaterFoldsOfTheBest) {
  const auto order = run({{1, 0.5}, {2, 0.8}, {3, 0.6}, {4, 0.7}});
  EXPECT_EQ(order.size(), 4U + 2U + 1U);
  const auto ran = [&](int point, int fold) {
    return std::find(order.begin(), order.end(), name(point, fold)) != order.end();
  };
  for (int point = 1; point <= 4; ++point) {
    EXPECT_TRUE(ran(point, 1));
    EXPECT_EQ(ran(point, 2), point == 2 || point == 4);
    EXPECT_EQ(ran(point, 3), point == 2);
  }
  for (const auto& [task, state] : states()) {
    const bool has_run = std::find(order.begin(), order.end(), task) != order.end();
    EXPECT_EQ(state, has_run ? TaskState::done : TaskState::discarded) << task;
  }
  EXPECT_TRUE(run({}).empty()) << "a search that is over has nothing left to do";
}

TEST_F(Halving, WaitsForTheWholeFoldBeforeItJudges) {
  Races races(plan_, folder_.path());
  std::map<std::size_t, TaskState> settled;
  const auto state = [&](std::size_t judge) {
    const auto place = settled.find(judge);
    return place == settled.end() ? std::nullopt : std::optional(place->second);
  };
  for (int point = 1; point <= 3; ++point) {
    finish(task(point, 1), 0.5);
    settled[task(point, 1)] = TaskState::done;
  }
  EXPECT_EQ(races.verdict(task(1, 1), state), Races::Verdict::runs);
  EXPECT_EQ(races.verdict(task(1, 2), state), Races::Verdict::waits);
  settled[task(4, 1)] = TaskState::failed;
  EXPECT_EQ(races.verdict(task(1, 2), state), Races::Verdict::blocked);
  finish(task(4, 1), 0.9);
  settled[task(4, 1)] = TaskState::done;
  EXPECT_EQ(races.verdict(task(4, 2), state), Races::Verdict::runs);
  EXPECT_EQ(races.verdict(task(1, 2), state), Races::Verdict::runs);
  EXPECT_EQ(races.verdict(task(2, 2), state), Races::Verdict::discarded);
}

TEST_F(Halving, AFailureBlocksTheFoldsBehindItNotTheirRow) {
  const PlannedTask& broken = plan_.tasks[task(2, 1)];
  write_ending(task_folder(folder_.path(), broken.name), broken.digest, 1, this_claimant("launch"),
               {.state = TaskState::failed, .code = 65, .error = "broken"});
  const auto order = run({{1, 0.5}, {3, 0.6}, {4, 0.7}});
  EXPECT_EQ(order.size(), 3U);
  for (const auto& [task, state] : states()) {
    EXPECT_EQ(state, task.ends_with("fold-1") && task != broken.name ? TaskState::done : TaskState::failed)
        << task;
  }
  const auto table = search_table(plan_, folder_.path());
  EXPECT_EQ(table.find("best"), std::string::npos) << table;
  write_search(plan_, folder_.path());
  EXPECT_FALSE(fs::exists(folder_ / "search/human.run-1.ini"));
}

TEST_F(Halving, AShareOfItBringsTheFoldsThatJudge) {
  const auto needed = with_needs(plan_, {task(1, 2)});
  const std::set<std::size_t> tasks(needed.begin(), needed.end());
  EXPECT_EQ(tasks, (std::set<std::size_t>{task(1, 1), task(2, 1), task(3, 1), task(4, 1), task(1, 2)}));
}

TEST_F(Halving, WritesEveryPointAndTheConfigOfTheBest) {
  run({{1, 0.5}, {2, 0.8}, {3, 0.6}, {4, 0.7}});
  write_search(plan_, folder_.path());
  const auto table = formats::Table::read(folder_ / "search.csv");
  EXPECT_EQ(table.column("state"), (std::vector<std::string>{"discarded", "best", "discarded", "discarded"}));
  EXPECT_EQ(table.column("folds"), (std::vector<std::string>{"1", "3", "1", "2"}));
  EXPECT_EQ(table.column("model.layers"), (std::vector<std::string>{"1", "2", "1", "2"}));
  const std::vector<double> scores = {0.5, 0.8, 0.6, 0.7};
  for (std::size_t point = 0; point < scores.size(); ++point) {
    EXPECT_NEAR(table.numbers("auroc").at(point), scores[point], 1e-12);
  }
  EXPECT_EQ(table.column("degree_auroc").at(0), "0.8");
  const std::string config = base::read_file(folder_ / "search/human.run-1.ini");
  for (const char* line : {"cells = 100\n", "layers = 2\n", "epochs = 4\n", "dataset = /data/human.h5\n"}) {
    EXPECT_NE(config.find(line), std::string::npos) << config;
  }
  EXPECT_EQ(config.find("fold ="), std::string::npos) << config;
  EXPECT_NE(search_summary(plan_, folder_.path()).find("best model.cells=100 model.layers=2"),
            std::string::npos);
  // Written again it is the same.
  const std::string before = base::read_file(folder_ / "search.csv");
  write_search(plan_, folder_.path());
  EXPECT_EQ(base::read_file(folder_ / "search.csv"), before);
}

TEST(Search, WithoutDiscardingFoldsDoNotWaitForOneAnother) {
  GridFile grid;
  grid.file = "grid.ini";
  grid.settings = {"human"};
  grid.strategies = {"search"};
  grid.setting_keys["human"] = {
      {"data.dataset", "/data/human.h5"}, {"data.network", "/data/net.csv"}, {"data.tfs", "/data/tfs.csv"}};
  grid.search.values = {{"model.layers", {"1", "2"}}};
  const Plan plan = make_plan(grid, [](const PlannedTask&) { return std::uint64_t{10}; });
  EXPECT_EQ(plan.tasks.size(), 10U);
  for (const auto& task : plan.tasks) {
    EXPECT_TRUE(task.needs.empty()) << task.name;
  }
  EXPECT_TRUE(Races(plan, {}).judges(0).empty());
  GridFile empty = grid;
  empty.search.values.clear();
  try {
    make_plan(empty, [](const PlannedTask&) { return std::uint64_t{10}; });
    FAIL() << "a search without a space was planned";
  } catch (const base::UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("grid.ini): expected lines of key"), std::string::npos)
        << error.what();
  }
  grid.command_line["model.layers"] = "3";
  EXPECT_THROW(make_plan(grid, [](const PlannedTask&) { return std::uint64_t{10}; }), base::UsageError);
}

}  // namespace
}  // namespace mgrn::experiments
