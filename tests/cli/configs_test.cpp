// SPDX-License-Identifier: Apache-2.0
// Every experiment of configs/ can be planned, with the tasks that its description promises. Nothing is run,
// and no data are needed.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/parse.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/formats/table.hpp"
#include "support/paths.hpp"
#include "support/shared_data.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::cli {
namespace {

namespace fs = std::filesystem;
using base::Json;
using mgrn::test::TemporaryDirectory;

constexpr int kVariants = 3;  // as in the paper, degree-matched, TFs held out
constexpr const char* kFamilies[] = {"paper", "simulated", "real"};

struct Expected {
  int results = 0;  ///< rows of results.csv
  int pretrainings = 0;
  int searched = 0;   ///< folds of all points
  int described = 0;  ///< rows of table1.csv
};

/// Settings in all, with K = 1000 (simulated, paper) or one network (real), and those with a parameter
/// search.
struct Family {
  int all = 0;
  int crossed = 0;
  int augmented = 0;
  int augmented_all = 0;
  int searched = 0;
  int with_omics = 0;
  int omics_strategies = 0;
  int datasets = 0;  ///< that the grid makes
  int simulated = 0;
  int methods = 1;  ///< in benchmark.ini: the model, four baselines, four controls
};

Family family_of(const std::string& name) {
  if (name == "paper") {
    return {.all = 24,
            .crossed = 7,
            .augmented = 3,
            .augmented_all = 12,
            .searched = 2,
            .with_omics = 7,
            .omics_strategies = 3,
            .methods = 9};
  }
  if (name == "simulated") {
    return {.all = 14,
            .crossed = 7,
            .augmented = 3,
            .augmented_all = 7,
            .searched = 2,
            .with_omics = 7,
            .omics_strategies = 3,
            .datasets = 7,
            .simulated = 7};
  }
  return {.all = 4,
          .crossed = 2,
          .augmented = 2,
          .augmented_all = 4,
          .searched = 2,
          .with_omics = 1,
          .omics_strategies = 2,
          .datasets = 2,
          .methods = 9};
}

Expected expected_of(const Family& family, const std::string& experiment) {
  constexpr int kPoints = 6 + 3 + 5 - 2;  // the middle of each key is the same point
  constexpr int kFolds = 5;
  if (experiment == "table1") {
    return {.described = family.all};
  }
  if (experiment == "params") {
    return {.searched = family.searched * kVariants * kPoints * kFolds};
  }
  if (experiment == "benchmark") {
    return {.results = family.all * kVariants * family.methods};
  }
  if (experiment == "augment") {
    return {.results = family.augmented * 5 * kVariants};
  }
  if (experiment == "augment-all") {
    return {.results = family.augmented_all * 2 * kVariants};
  }
  if (experiment == "cross") {
    const int with_weaker_leak_rule = kVariants + 1;
    return {.results = family.crossed * 4 * with_weaker_leak_rule,
            .pretrainings = family.crossed * 2 * with_weaker_leak_rule};
  }
  if (experiment == "zero-shot") {
    return {.results = family.crossed * 2 * kVariants, .pretrainings = family.crossed * kVariants};
  }
  const bool crosses = family.omics_strategies == 3;
  return {.results = family.with_omics * family.omics_strategies * 2 * kVariants,
          .pretrainings = crosses ? family.with_omics * 2 * kVariants : 0};
}

const std::set<std::string> kExperiments = {"table1",      "params", "benchmark", "augment",
                                            "augment-all", "cross",  "zero-shot", "omics"};

/// `grid ACTION`, in this process: starting the program thirty times costs more than planning.
/// One run of each: the others differ in their seed alone.
void run_grid(const std::string& action, const fs::path& config, const fs::path& data, const fs::path& out) {
  Invocation invocation;
  parse({"grid", action, "--config", config.string(), "--grid.data", data.string(), "--grid.runs", "1",
         "--out", out.string()},
        invocation);
  const auto self = comm::make_self_communicator();
  invocation.command->run(invocation.config, *self);
}

/// The tasks of a config's plan, planned once.
const Json& plan_of(const fs::path& config) {
  static std::map<fs::path, Json> plans;
  const auto known = plans.find(config);
  if (known != plans.end()) {
    return known->second;
  }
  const TemporaryDirectory out;
  run_grid("plan", config, "/nowhere", out.path());
  return plans[config] = mgrn::base::read_json(out / "plan.json").at("tasks");
}

TEST(Configs, EveryExperimentOfEveryFamilyIsPlannedAsDescribed) {
  for (const std::string family_name : kFamilies) {
    const Family family = family_of(family_name);
    for (const auto& experiment : kExperiments) {
      SCOPED_TRACE(family_name + "/" + experiment);
      const fs::path config = mgrn::test::source_path("configs/" + family_name + "/" + experiment + ".ini");
      Expected got;
      std::map<std::string, int> commands;
      std::set<std::string> settings;
      for (const auto& task : plan_of(config)) {
        ++commands[task.at("command").get<std::string>()];
        got.results += task.contains("result") ? 1 : 0;
        got.searched += task.contains("race") ? 1 : 0;
        got.described += task.contains("table") ? 1 : 0;
        if (task.contains("result")) {
          settings.insert(task.at("result").at("setting").get<std::string>());
        }
      }
      const Expected expected = expected_of(family, experiment);
      if (expected.results > 0) {
        EXPECT_NE(base::read_file(config).find("\nruns = 1..5\n"), std::string::npos);
      }
      EXPECT_EQ(got.results, expected.results);
      EXPECT_EQ(got.searched, expected.searched);
      EXPECT_EQ(got.described, expected.described);
      EXPECT_EQ(commands["pretrain"], expected.pretrainings);
      EXPECT_LE(commands["prepare"], family.datasets);
      EXPECT_LE(commands["simulate"], family.simulated);
      for (const auto& setting : settings) {
        if (setting.find('+') == std::string::npos) {
          EXPECT_TRUE(settings.contains(setting + "+degree-matched")) << setting;
          EXPECT_TRUE(settings.contains(setting + "+tf-heldout")) << setting;
        }
      }
    }
  }
}

TEST(Configs, NoneIsForgottenAndNoneHoldsAPathOfOneMachine) {
  for (const auto& entry : fs::recursive_directory_iterator(mgrn::test::source_path("configs"))) {
    if (entry.path().extension() != ".ini") {
      continue;
    }
    const std::string name = entry.path().stem().string();
    const std::string text = mgrn::base::read_file(entry.path());
    for (const char* start : {"= /", "=/", ", /", "= ~", "/home/"}) {
      EXPECT_EQ(text.find(start), std::string::npos) << entry.path();
    }
    const bool is_grid = text.find("\nsettings = ") != std::string::npos;
    if (is_grid && !kExperiments.contains(name)) {
      EXPECT_GT(plan_of(entry.path()).size(), 0U) << entry.path();
    }
  }
}

// The public data as configs/real prepares them; figures of an independent implementation (docs/results.md).
TEST(Configs, DescribeTheRealDataAsTheyAreKnown) {
  const fs::path snare = mgrn::test::real_data("mouse_cortex_snare/feature_bc_matrix.h5");
  MGRN_REQUIRE_REAL_DATA(snare);
  const fs::path data = snare.parent_path().parent_path();
  const TemporaryDirectory out;
  run_grid("run", mgrn::test::source_path("configs/real/table1.ini"), data, out.path());
  const auto table = mgrn::formats::Table::read(out / "table1.csv");
  EXPECT_EQ(table.column("setting"),
            (std::vector<std::string>{"mdc-chip", "mdc-string", "snare-chip", "snare-string"}));
  EXPECT_EQ(table.numbers("tfs").at(0), 250);
  EXPECT_EQ(table.numbers("genes").at(0), 643);
  EXPECT_EQ(table.numbers("edges").at(0), 3067);
  EXPECT_EQ(table.numbers("tfs").at(1), 264);
  EXPECT_EQ(table.numbers("genes").at(1), 487);
  EXPECT_EQ(table.numbers("edges").at(1), 4815);
  EXPECT_EQ(table.numbers("cells").at(2), 9422);
  EXPECT_EQ(table.numbers("tfs").at(2), 102);
  EXPECT_EQ(table.numbers("genes").at(2), 671);
  EXPECT_EQ(table.numbers("edges").at(2), 1313);
}

// Pretraining never sees the target, whichever of its networks, gene sets and variants is asked for.
TEST(Configs, NoTargetIsAmongItsOwnSources) {
  for (const std::string family : kFamilies) {
    const auto& plan = plan_of(mgrn::test::source_path("configs/" + family + "/cross.ini"));
    for (const auto& task : plan) {
      if (task.at("command") != "pretrain") {
        continue;
      }
      const auto& keys = task.at("keys");
      const std::string datasets = keys.at("data.dataset").get<std::string>();
      const std::string target = keys.at("cross.target").get<std::string>();
      // Listed once, at the front: it draws the test pairs that are left out, and is not learnt from.
      EXPECT_EQ(datasets.find(target), 0U);
      EXPECT_EQ(datasets.find(target, 1), std::string::npos);
      EXPECT_FALSE(keys.contains("cross.include_target"));
      const bool weaker = task.at("name").get<std::string>().find("+leak-same-dataset.") != std::string::npos;
      EXPECT_EQ(keys.value("cross.leak", "none"), weaker ? "same-dataset" : "none") << task.at("name");
      const auto commas = [](const std::string& text) { return std::count(text.begin(), text.end(), ','); };
      EXPECT_EQ(commas(keys.at("data.network").get<std::string>()), commas(datasets));
      EXPECT_EQ(commas(keys.at("data.tfs").get<std::string>()), commas(datasets));
    }
  }
}

}  // namespace
}  // namespace mgrn::cli
