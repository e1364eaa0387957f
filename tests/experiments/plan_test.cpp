// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "experiments/small_plans.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;
using mgrn::test::TemporaryDirectory;

GridFile grid_of_two() {
  GridFile grid;
  grid.file = "grid.ini";
  grid.settings = {"human", "mouse"};
  grid.strategies = strategy_names();
  grid.runs = {1, 2};
  grid.common = {{"data.genes", "500"}};
  grid.datasets["mouse"] = {{"simulate.cells", "30"}, {"simulate.seed", "4"}};
  grid.setting_keys["human"] = {
      {"data.dataset", "/data/human.h5"}, {"data.network", "/data/net.csv"}, {"data.tfs", "/data/tfs.csv"}};
  grid.setting_keys["mouse"] = {{"dataset", "mouse"}};
  return grid;
}

std::uint64_t cost_ten(const PlannedTask& task) {
  return task.command == "pretrain" ? 20 : 10;
}

Plan plan_of(const GridFile& grid) {
  return make_plan(grid, cost_ten);
}

const PlannedTask& task_named(const Plan& plan, const std::string& name) {
  return plan.tasks[plan.index_of(name)];
}

std::string refusal(const GridFile& grid, const CheckTask& check = cost_ten) {
  try {
    make_plan(grid, check);
  } catch (const base::UsageError& error) {
    return error.what();
  }
  return "nothing";
}

TEST(Plan, HasATaskForEverySettingMethodStrategyAndRun) {
  const Plan plan = plan_of(grid_of_two());
  const auto with_result = std::count_if(plan.tasks.begin(), plan.tasks.end(),
                                         [](const PlannedTask& task) { return task.result.has_value(); });
  EXPECT_EQ(with_result, 2 * 5 * 2);
  // Two for the simulated dataset, and pretrainings: cross and zero-shot share one, both has its own.
  EXPECT_EQ(plan.tasks.size(), 20U + 2U + 2U * 2U * 2U);
  const auto& labels = *task_named(plan, "mouse.multigrnformer.both.run-2").result;
  EXPECT_EQ(labels.setting, "mouse");
  EXPECT_EQ(labels.method, "multigrnformer");
  EXPECT_EQ(labels.strategy, "both");
  EXPECT_EQ(labels.omics, "rna+atac");
  EXPECT_EQ(labels.run, 2U);
}

TEST(Plan, IsTheSameBytesEachTimeAndSurvivesReading) {
  const TemporaryDirectory folder;
  const std::string text = plan_of(grid_of_two()).text();
  EXPECT_EQ(plan_of(grid_of_two()).text(), text);
  write_plan(folder.path(), plan_of(grid_of_two()));
  EXPECT_EQ(base::read_file(plan_file(folder.path())), text);
  EXPECT_EQ(read_plan(folder.path()).text(), text);
  EXPECT_TRUE(fs::is_directory(task_folder(folder.path(), "human.multigrnformer.standard.run-1")));
}

TEST(Plan, StandsLongestWayFirstAndEveryTaskBehindWhatItNeeds) {
  const Plan plan = plan_of(grid_of_two());
  for (std::size_t i = 0; i < plan.tasks.size(); ++i) {
    EXPECT_TRUE(i == 0 || plan.tasks[i - 1].way >= plan.tasks[i].way);
    for (const auto& need : plan.tasks[i].needs) {
      EXPECT_LT(plan.index_of(need), i) << plan.tasks[i].name << " needs " << need;
    }
  }
  EXPECT_EQ(plan.tasks.front().name, "data.mouse.simulate");
  EXPECT_EQ(plan.tasks.front().way, 10U + 10U + 20U + 10U);
}

TEST(Plan, GivesEveryStrategyItsKeys) {
  const Plan plan = plan_of(grid_of_two());
  const auto& standard = task_named(plan, "human.multigrnformer.standard.run-2");
  EXPECT_EQ(standard.command, "train");
  EXPECT_EQ(standard.keys.at("pairs.seed"), "2");
  EXPECT_EQ(standard.keys.at("data.genes"), "500");
  EXPECT_FALSE(standard.keys.contains("pairs.augment"));
  EXPECT_TRUE(standard.needs.empty());

  EXPECT_EQ(task_named(plan, "human.multigrnformer.augment.run-1").keys.at("pairs.augment"), "5");

  const auto& cross = task_named(plan, "mouse.multigrnformer.cross.run-1");
  EXPECT_EQ(cross.command, "finetune");
  EXPECT_EQ(cross.keys.at("train.init"), "{out}/tasks/mouse.pretrain.cross.run-1/model.safetensors");
  EXPECT_EQ(cross.keys.at("data.network"), "{out}/tasks/data.mouse.simulate/network.csv");
  EXPECT_EQ(cross.needs, (std::vector<std::string>{"data.mouse.prepare", "mouse.pretrain.cross.run-1"}));

  const auto& zero_shot = task_named(plan, "mouse.multigrnformer.zero-shot.run-1");
  EXPECT_EQ(zero_shot.keys.at("train.epochs"), "0");
  EXPECT_EQ(zero_shot.keys.at("train.init"), cross.keys.at("train.init"));

  // The target is listed, so that its own network draws the test pairs that are left out; it takes no part.
  const auto& pretraining = task_named(plan, "mouse.pretrain.cross.run-1");
  const std::string mouse = "{out}/tasks/data.mouse.prepare/mouse.h5";
  EXPECT_EQ(pretraining.keys.at("data.dataset"), mouse + ",/data/human.h5");
  EXPECT_EQ(pretraining.keys.at("cross.target"), mouse);
  EXPECT_FALSE(pretraining.keys.contains("train.epochs"));
  EXPECT_FALSE(pretraining.result.has_value());
  EXPECT_EQ(task_named(plan, "mouse.pretrain.both.run-1").keys.at("pairs.augment"), "5");
}

TEST(Plan, RunsBaselinesUnderStrategyStandardAloneOnTheSplitOfTheRun) {
  GridFile grid = grid_of_two();
  grid.methods = {"degree", "multigrnformer", "embeddings"};
  grid.common["baseline.components"] = "5";
  grid.job_keys["train"] = {{"train.epochs", "9"}};
  grid.job_keys["baseline"] = {{"train.threads", "2"}};
  grid.method_keys["embeddings"] = {{"baseline.components", "7"}};
  const Plan plan = plan_of(grid);
  const auto with_result = std::count_if(plan.tasks.begin(), plan.tasks.end(),
                                         [](const PlannedTask& task) { return task.result.has_value(); });
  EXPECT_EQ(with_result, 2 * 5 * 2 + 2 * 2 * 2);
  const auto& baseline = task_named(plan, "mouse.embeddings.standard.run-2");
  EXPECT_EQ(baseline.command, "baseline");
  EXPECT_EQ(baseline.keys.at("method"), "embeddings");
  EXPECT_EQ(baseline.keys.at("baseline.components"), "7");
  EXPECT_EQ(baseline.keys.at("train.threads"), "2");
  EXPECT_FALSE(baseline.keys.contains("train.epochs"));
  EXPECT_EQ(baseline.needs, (std::vector<std::string>{"data.mouse.prepare"}));
  EXPECT_EQ(baseline.result->method, "embeddings");
  EXPECT_EQ(task_named(plan, "mouse.degree.standard.run-1").keys.at("baseline.components"), "5");
  // What draws the split is the same for all methods of a run; baselines' own keys are theirs alone.
  const auto& train = task_named(plan, "mouse.multigrnformer.standard.run-2");
  for (const char* key : {"data.dataset", "data.network", "data.tfs", "data.genes", "pairs.seed"}) {
    EXPECT_EQ(baseline.keys.at(key), train.keys.at(key)) << key;
  }
  EXPECT_FALSE(train.keys.contains("baseline.components"));
  EXPECT_FALSE(train.keys.contains("method"));
}

TEST(Plan, SpecialKeysWinOverGeneralOnesAndTheCommandLineOverAll) {
  GridFile grid = grid_of_two();
  grid.common["train.epochs"] = "7";
  grid.common["pairs.augment"] = "2";
  grid.setting_keys["human"]["model.layers"] = "3";
  grid.job_keys["pretrain"] = {{"train.epochs", "9"}};
  grid.strategy_keys["both"] = {{"pairs.augment", "4"}, {"model.layers", "1"}};
  Plan plan = plan_of(grid);
  EXPECT_EQ(task_named(plan, "human.multigrnformer.standard.run-1").keys.at("train.epochs"), "7");
  EXPECT_EQ(task_named(plan, "human.multigrnformer.standard.run-1").keys.at("pairs.augment"), "2");
  EXPECT_EQ(task_named(plan, "human.multigrnformer.augment.run-1").keys.at("pairs.augment"), "5");
  EXPECT_EQ(task_named(plan, "human.multigrnformer.both.run-1").keys.at("pairs.augment"), "4");
  EXPECT_EQ(task_named(plan, "human.multigrnformer.both.run-1").keys.at("model.layers"), "1");
  EXPECT_EQ(task_named(plan, "human.multigrnformer.cross.run-1").keys.at("model.layers"), "3");
  EXPECT_EQ(task_named(plan, "human.pretrain.cross.run-1").keys.at("train.epochs"), "9");
  EXPECT_EQ(task_named(plan, "human.multigrnformer.cross.run-1").keys.at("train.epochs"), "7");

  grid.command_line = {{"train.epochs", "1"}, {"pairs.augment", "3"}, {"model.layers", "2"}};
  plan = plan_of(grid);
  EXPECT_EQ(task_named(plan, "human.pretrain.cross.run-1").keys.at("train.epochs"), "1");
  EXPECT_EQ(task_named(plan, "human.multigrnformer.both.run-1").keys.at("model.layers"), "2");
  EXPECT_EQ(task_named(plan, "human.multigrnformer.standard.run-1").keys.at("pairs.augment"), "3");
  // What a strategy is stays.
  EXPECT_EQ(task_named(plan, "human.multigrnformer.augment.run-1").keys.at("pairs.augment"), "5");
  EXPECT_EQ(task_named(plan, "human.multigrnformer.zero-shot.run-1").keys.at("train.epochs"), "0");
}

TEST(Plan, PretrainsOnEveryOtherDatasetOnceOrOnTheSourcesNamed) {
  GridFile grid = grid_of_two();
  grid.settings = {"human", "human-1000", "mouse"};
  grid.setting_keys["human-1000"] = grid.setting_keys["human"];
  grid.setting_keys["human-1000"]["data.genes"] = "1000";
  const std::string mouse = "{out}/tasks/data.mouse.prepare/mouse.h5";
  Plan plan = plan_of(grid);
  EXPECT_EQ(task_named(plan, "human-1000.pretrain.cross.run-1").keys.at("data.dataset"),
            "/data/human.h5," + mouse);
  EXPECT_EQ(task_named(plan, "human-1000.pretrain.cross.run-1").keys.at("data.genes"), "1000");
  EXPECT_EQ(task_named(plan, "mouse.pretrain.cross.run-1").keys.at("data.dataset"),
            mouse + ",/data/human.h5");

  grid.setting_keys["other"] = {
      {"data.dataset", "/o.h5"}, {"data.network", "/o.csv"}, {"data.tfs", "/o.txt"}};
  grid.setting_keys["mouse"]["sources"] = "other, human";
  plan = plan_of(grid);
  EXPECT_EQ(task_named(plan, "mouse.pretrain.cross.run-1").keys.at("data.dataset"),
            mouse + ",/o.h5,/data/human.h5");
  EXPECT_EQ(task_named(plan, "mouse.pretrain.cross.run-1").keys.at("data.tfs"),
            "{out}/tasks/data.mouse.simulate/tfs.csv,/o.txt,/data/tfs.csv");
}

TEST(Plan, SaysWhichOmicsASettingHas) {
  GridFile grid = grid_of_two();
  grid.setting_keys["human"]["data.modalities"] = "rna";
  EXPECT_EQ(task_named(plan_of(grid), "human.multigrnformer.standard.run-1").result->omics, "rna");
}

TEST(Plan, ArgumentsAreThoseOfACommandInTheGridsFolder) {
  const Plan plan = plan_of(grid_of_two());
  const auto words = task_named(plan, "data.mouse.prepare").arguments("/grids/one");
  EXPECT_EQ(words.front(), "prepare");
  EXPECT_NE(std::find(words.begin(), words.end(), "--rna=/grids/one/tasks/data.mouse.simulate/multiome.h5"),
            words.end());
  EXPECT_NE(std::find(words.begin(), words.end(), "--out=/grids/one/tasks/data.mouse.prepare/mouse.h5"),
            words.end());
}

TEST(Plan, TasksAreTheProcessorsUnlessTheGridSaysOtherwise) {
  const auto has = [](const GridFile& grid, const std::string& task, const std::string& word) {
    const auto words = task_named(plan_of(grid), task).arguments("/grids/one");
    return std::count(words.begin(), words.end(), word) == 1;
  };
  GridFile grid = grid_of_two();
  EXPECT_TRUE(has(grid, "human.multigrnformer.standard.run-1", "--train.device=cpu"));
  EXPECT_FALSE(has(grid, "data.mouse.prepare", "--train.device=cpu"));
  grid.setting_keys["human"]["train.device"] = "auto";
  EXPECT_TRUE(has(grid, "human.multigrnformer.standard.run-1", "--train.device=cpu"));
  grid.setting_keys["human"]["train.device"] = "cuda";
  EXPECT_TRUE(has(grid, "human.multigrnformer.standard.run-1", "--train.device=cuda"));
}

TEST(Plan, RefusesWhatCannotBeDoneBeforeAnyWorkBegins) {
  using Change = std::function<void(GridFile&)>;
  const std::vector<std::pair<std::string, Change>> cases = {
      {"setting yeast has no section", [](GridFile& grid) { grid.settings.push_back("yeast"); }},
      {"settings twice", [](GridFile& grid) { grid.settings.push_back("human"); }},
      {"lists no strategies", [](GridFile& grid) { grid.strategies.clear(); }},
      {"unknown strategy crossed", [](GridFile& grid) { grid.strategies = {"crossed"}; }},
      {"unknown strategy crossed", [](GridFile& grid) { grid.strategy_keys["crossed"] = {}; }},
      {"unknown method genie4", [](GridFile& grid) { grid.method_keys["genie4"] = {}; }},
      {"in [job.train]", [](GridFile& grid) { grid.method_keys["multigrnformer"] = {}; }},
      {"method pearson has no strategy to run under",
       [](GridFile& grid) {
         grid.methods = {"multigrnformer", "pearson"};
         grid.strategies = {"augment", "cross"};
       }},
      {"the grid itself sets method", [](GridFile& grid) { grid.common["method"] = "degree"; }},
      {"unknown method gene3", [](GridFile& grid) { grid.methods = {"gene3"}; }},
      {"the grid itself sets pairs.seed", [](GridFile& grid) { grid.common["pairs.seed"] = "3"; }},
      {"the grid itself sets train.init",
       [](GridFile& grid) { grid.job_keys["finetune"]["train.init"] = "x"; }},
      {"dataset rat of setting mouse has no section",
       [](GridFile& grid) { grid.setting_keys["mouse"]["dataset"] = "rat"; }},
      {"setting mouse names its dataset twice",
       [](GridFile& grid) { grid.setting_keys["mouse"]["data.dataset"] = "/m.h5"; }},
      {"setting human lacks data.tfs", [](GridFile& grid) { grid.setting_keys["human"].erase("data.tfs"); }},
      {"dataset mouse has no source",
       [](GridFile& grid) {
         grid.datasets["mouse"] = {{"prepare.qc", "none"}};
       }},
      {"dataset mouse is both simulated and read",
       [](GridFile& grid) { grid.datasets["mouse"]["rna"] = "/m"; }},
      {"source rat of setting human is no setting",
       [](GridFile& grid) { grid.setting_keys["human"]["sources"] = "rat"; }},
      {"setting human has nothing to be pretrained on", [](GridFile& grid) { grid.settings = {"human"}; }},
  };
  for (const auto& [says, change] : cases) {
    GridFile grid = grid_of_two();
    change(grid);
    EXPECT_NE(refusal(grid).find(says), std::string::npos) << says << "\n" << refusal(grid);
    EXPECT_NE(refusal(grid).find("grid.ini"), std::string::npos) << refusal(grid);
    EXPECT_NE(refusal(grid).find("hint: "), std::string::npos) << refusal(grid);
  }
}

TEST(Plan, NamesTheTaskWhoseKeysACommandWouldRefuse) {
  const auto says = refusal(grid_of_two(), [](const PlannedTask& task) -> std::uint64_t {
    if (task.name == "human.pretrain.both.run-2") {
      throw base::UsageError({.what = "illegal value of model.layers"});
    }
    return 1;
  });
  EXPECT_NE(says.find("task human.pretrain.both.run-2: illegal value of model.layers"), std::string::npos)
      << says;
}

TEST(Plan, ThatDiffersLeavesFinishedWorkAloneAndReplacesTheRest) {
  const TemporaryDirectory folder;
  const Plan before = plan_of(grid_of_two());
  write_plan(folder.path(), before);
  const std::string done = "human.multigrnformer.standard.run-1";
  const std::string failed = "human.multigrnformer.augment.run-1";
  const Claimant owner = this_claimant("l");
  write_ending(task_folder(folder.path(), failed), task_named(before, failed).digest, 1, owner,
               {.state = TaskState::failed, .code = 65, .error = "no such file"});
  EXPECT_EQ(test::state_of(before, folder.path(), failed), TaskState::failed);

  GridFile grid = grid_of_two();
  grid.setting_keys["human"]["data.tfs"] = "/data/mended.csv";
  const Plan now = plan_of(grid);
  write_plan(folder.path(), now);
  EXPECT_EQ(read_plan(folder.path()).text(), now.text());
  EXPECT_EQ(test::state_of(now, folder.path(), failed), TaskState::waiting) << "its keys have been mended";

  write_ending(task_folder(folder.path(), done), task_named(now, done).digest, 1, owner,
               {.state = TaskState::done});
  try {
    write_plan(folder.path(), before);
    ADD_FAILURE() << "finished work must not be planned anew";
  } catch (const base::UsageError& error) {
    const std::string says = error.what();
    EXPECT_NE(says.find(done + " is done with other keys"), std::string::npos) << says;
    EXPECT_NE(says.find("expected data.tfs = /data/mended.csv, got data.tfs = /data/tfs.csv"),
              std::string::npos)
        << says;
  }
  EXPECT_EQ(read_plan(folder.path()).text(), now.text());
  write_plan(folder.path(), now);
}

TEST(Plan, ATaskIsAnotherOneWhenWhatItNeedsIs) {
  GridFile grid = grid_of_two();
  const Plan before = plan_of(grid);
  grid.job_keys["pretrain"] = {{"train.epochs", "9"}};
  const Plan now = plan_of(grid);
  const std::string name = "human.multigrnformer.cross.run-1";
  EXPECT_EQ(task_named(before, name).keys, task_named(now, name).keys);
  EXPECT_NE(task_named(before, name).digest, task_named(now, name).digest);
  EXPECT_EQ(task_named(before, "human.multigrnformer.augment.run-1").digest,
            task_named(now, "human.multigrnformer.augment.run-1").digest);
}

TEST(Plan, AFolderWithoutAPlanOrWithADamagedOneIsRefusedByName) {
  const TemporaryDirectory folder;
  EXPECT_THROW(read_plan(folder.path()), base::DataError);
  base::write_file_atomically(plan_file(folder.path()), "{\"format\": 1, \"tasks\": [{\"name\": \"a\"}]}");
  EXPECT_THROW(read_plan(folder.path()), base::DataError);
  base::write_file_atomically(plan_file(folder.path()), "{\"format\": 2, \"tasks\": []}");
  EXPECT_THROW(read_plan(folder.path()), base::DataError);
}

TEST(Plan, ASelectionBringsWhatItNeeds) {
  const Plan plan = test::small_plan({{"a", {}}, {"b", {"a"}}, {"c", {"b"}}, {"d", {}}});
  EXPECT_EQ(with_needs(plan, {2}), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(with_needs(plan, {3, 0}), (std::vector<std::size_t>{0, 3}));
}

TEST(Runs, AreRangesAndListsOfDistinctSeeds) {
  EXPECT_EQ(parse_runs("1..3"), (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(parse_runs("7, 2 ,4..5"), (std::vector<std::uint64_t>{7, 2, 4, 5}));
  for (const char* wrong : {"", "1,,2", "3..1", "a", "1..", "-1", "1..2,2", "1..5000", "1.5"}) {
    EXPECT_THROW(parse_runs(wrong), base::UsageError) << wrong;
  }
}

TEST(Plan, RunsEachCellWithEachOmics) {
  GridFile grid = grid_of_two();
  grid.strategies = {"standard", "cross"};
  grid.omics = {"rna+atac", "rna"};
  grid.runs = {1};
  const Plan plan = plan_of(grid);
  const auto& both = task_named(plan, "human.multigrnformer.cross.run-1");
  const auto& rna = task_named(plan, "human.multigrnformer.cross.rna.run-1");
  EXPECT_EQ(both.keys.at("data.modalities"), "rna,atac");
  EXPECT_EQ(rna.keys.at("data.modalities"), "rna");
  EXPECT_EQ(both.result->omics, "rna+atac");
  EXPECT_EQ(rna.result->omics, "rna");
  EXPECT_EQ(rna.result->setting, "human");
  EXPECT_EQ(rna.result->strategy, "cross");
  // Weights pretrained on RNA alone are not those pretrained on both.
  EXPECT_EQ(rna.keys.at("train.init"), "{out}/tasks/human.pretrain.cross.rna.run-1/model.safetensors");
  EXPECT_EQ(task_named(plan, "human.pretrain.cross.rna.run-1").keys.at("data.modalities"), "rna");
  grid.omics = {"atac"};
  EXPECT_NE(refusal(grid).find("unknown omics atac"), std::string::npos) << refusal(grid);
}

TEST(Plan, RefusesToFinetuneAnotherModelThanItPretrains) {
  GridFile grid = grid_of_two();
  grid.strategies = {"zero-shot"};
  grid.job_keys["pretrain"]["model.dropout"] = "0.1";  // no part of the weights' shape
  EXPECT_EQ(refusal(grid), "nothing");
  for (const char* key : {"model.cells", "model.layers", "model.hidden"}) {
    GridFile other = grid;
    other.job_keys["pretrain"][key] = "64";
    const std::string error = refusal(other);
    EXPECT_NE(error.find(std::string(key) + " differs"), std::string::npos) << error;
    EXPECT_NE(error.find("64, as pretrained"), std::string::npos) << error;
    other.job_keys["finetune"][key] = "64";
    EXPECT_EQ(refusal(other), "nothing");
  }
}

TEST(Plan, AugmentsByAnyFactor) {
  GridFile grid = grid_of_two();
  grid.strategies = {"augment-3", "augment"};
  const Plan plan = plan_of(grid);
  EXPECT_EQ(task_named(plan, "human.multigrnformer.augment-3.run-1").keys.at("pairs.augment"), "3");
  EXPECT_EQ(task_named(plan, "human.multigrnformer.augment-3.run-1").result->strategy, "augment-3");
  for (const char* wrong : {"augment-0", "augment-03", "augment-1001", "augment-", "augment-x"}) {
    grid.strategies = {wrong};
    EXPECT_NE(refusal(grid).find(std::string("unknown strategy ") + wrong), std::string::npos)
        << refusal(grid);
  }
}

TEST(Plan, DescribesEachSettingOnce) {
  GridFile grid = grid_of_two();
  grid.strategies = {"inspect", "standard"};
  grid.common["model.cells"] = "50";
  const Plan plan = plan_of(grid);
  const auto& mouse = task_named(plan, "mouse.inspect");
  EXPECT_EQ(mouse.command, "inspect");
  EXPECT_EQ(mouse.keys, (Keys{{"dataset", "{out}/tasks/data.mouse.prepare/mouse.h5"},
                              {"network", "{out}/tasks/data.mouse.simulate/network.csv"},
                              {"tfs", "{out}/tasks/data.mouse.simulate/tfs.csv"},
                              {"genes", "500"},
                              {"cells", "50"},
                              {"out", "{out}/tasks/mouse.inspect"}}));
  EXPECT_EQ(mouse.table->setting, "mouse");
  EXPECT_EQ(mouse.table->row, 1U);
  EXPECT_FALSE(mouse.result.has_value());
  EXPECT_EQ(std::count_if(plan.tasks.begin(), plan.tasks.end(),
                          [](const PlannedTask& task) { return task.command == "inspect"; }),
            2);
  const TemporaryDirectory folder;
  write_plan(folder.path(), plan);
  EXPECT_EQ(read_plan(folder.path()).text(), plan.text());
}

TEST(GridFile, VariantsAreSettingsOfTheirOwn) {
  GridFile grid = grid_of_two();
  grid.setting_keys["human"]["pairs.split"] = "edge";
  grid.variants = {"plain", "hard"};
  grid.variant_keys["hard"] = {{"pairs.split", "tf-heldout"}, {"pairs.negatives", "degree-matched"}};
  expand_variants(grid);
  EXPECT_EQ(grid.settings, (std::vector<std::string>{"human", "human+hard", "mouse", "mouse+hard"}));
  EXPECT_EQ(grid.setting_keys.at("human").at("pairs.split"), "edge");
  EXPECT_EQ(grid.setting_keys.at("human+hard").at("pairs.split"), "tf-heldout");
  EXPECT_EQ(grid.setting_keys.at("human+hard").at("data.dataset"), "/data/human.h5");
  // The target and its plain twin are one dataset: neither is pretrained on for the other.
  const Plan plan = plan_of(grid);
  const auto& pretraining = task_named(plan, "human+hard.pretrain.cross.run-1");
  EXPECT_EQ(pretraining.keys.at("data.dataset"), "/data/human.h5,{out}/tasks/data.mouse.prepare/mouse.h5");
  EXPECT_EQ(pretraining.keys.at("pairs.negatives"), "degree-matched");

  GridFile only = grid_of_two();
  only.variants = {"hard"};
  EXPECT_THROW(expand_variants(only), base::UsageError);
  only.variants = {"plain", "plain"};
  EXPECT_THROW(expand_variants(only), base::UsageError);
}

}  // namespace
}  // namespace mgrn::experiments
