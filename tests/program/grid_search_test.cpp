// SPDX-License-Identifier: Apache-2.0
// A parameter search as users run it: the same choice on any ranks and after a stop, and no test pair in any
// fold.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/formats/table.hpp"
#include "program/run_program.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using mgrn::base::Json;
using mgrn::base::read_file;
using mgrn::test::ProgramResult;
using mgrn::test::run_program;
using mgrn::test::TemporaryDirectory;

constexpr const char* kGrid = R"([grid]
settings = human
strategies = inspect, search, standard
runs = 1

[simulate]
rules_seed = 7
cells = 200
genes = 80
tfs = 10
peaks = 400

[dataset.human]
simulate.seed = 2

[setting.human]
dataset = human

[data]
genes = all

[model]
cells = 16
hidden = 8

[train]
epochs = 3

[search]
folds = 3
keep = 0.5

[space]
model.layers = 1, 2
train.learning_rate = 0.001, 0.01
)";

ProgramResult grid(const fs::path& out, std::vector<std::string> more = {}, int ranks = 0) {
  std::vector<std::string> arguments = {"grid", "run", "--out", out.string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_program(arguments, ranks);
}

std::map<std::string, int> states(const fs::path& out) {
  const auto result = run_program({"grid", "status", "--json", "--out", out.string()});
  EXPECT_EQ(result.code, 0) << result.errors;
  return Json::parse(result.output).at("counts").get<std::map<std::string, int>>();
}

std::map<std::string, std::string> outcome(const fs::path& out) {
  std::map<std::string, std::string> files;
  for (const char* name : {"search.csv", "search/human.run-1.ini", "table1.csv", "results.csv"}) {
    files[name] = read_file(out / name);
  }
  return files;
}

using Pairs = std::set<std::pair<std::string, std::string>>;

Pairs pairs_of(const fs::path& split, bool test) {
  const auto table = mgrn::formats::Table::read(split);
  Pairs pairs;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    if ((table.column("set")[row] == "test") == test) {
      pairs.emplace(table.column("tf")[row], table.column("gene")[row]);
    }
  }
  return pairs;
}

class GridSearch : public testing::Test {
 protected:
  GridSearch() { std::ofstream(folder_ / "grid.ini") << kGrid; }
  fs::path out(const std::string& name) const { return folder_ / name; }
  std::string config() const { return (folder_ / "grid.ini").string(); }

  TemporaryDirectory folder_;
};

TEST_F(GridSearch, ChoosesTheSameOnAnyRanksAndHasSeenNoTestPair) {
  const auto result = grid(out("one"), {"--config", config()});
  ASSERT_EQ(result.code, 0) << result.errors;
  // Simulation, preparation, description, the usual training; 4, 2 and 1 of the points.
  EXPECT_EQ(states(out("one")), (std::map<std::string, int>{{"done", 4 + 7}, {"discarded", 12 - 7}}));
  EXPECT_NE(result.output.find("search human.search.run-1: 4 points, 3 discarded; best model.layers="),
            std::string::npos)
      << result.output;

  const fs::path tasks = out("one") / "tasks";
  const Pairs test = pairs_of(tasks / "human.multigrnformer.standard.run-1/split.csv", true);
  const Pairs training = pairs_of(tasks / "human.multigrnformer.standard.run-1/split.csv", false);
  int folds = 0;
  for (const auto& task : fs::directory_iterator(tasks)) {
    const fs::path split = task.path() / "split.csv";
    if (task.path().filename().string().find(".search.") == std::string::npos || !fs::exists(split)) {
      continue;
    }
    ++folds;
    Pairs seen = pairs_of(split, false);
    const Pairs held_out = pairs_of(split, true);
    for (const auto& pair : held_out) {
      EXPECT_FALSE(seen.contains(pair));
    }
    seen.insert(held_out.begin(), held_out.end());
    EXPECT_EQ(seen, training);
    for (const auto& pair : seen) {
      EXPECT_FALSE(test.contains(pair)) << task.path();
    }
  }
  EXPECT_EQ(folds, 7);

  const auto table = mgrn::formats::Table::read(out("one") / "table1.csv");
  EXPECT_EQ(table.rows(), 1U);
  EXPECT_EQ(table.column("setting").at(0), "human");
  EXPECT_NEAR(table.numbers("density").at(0),
              table.numbers("edges").at(0) / (table.numbers("tfs").at(0) * table.numbers("genes").at(0)),
              1e-12);

  for (const int ranks : {2, 3}) {
    const std::string name = "ranks-" + std::to_string(ranks);
    const auto on_ranks = grid(out(name), {"--config", config()}, ranks);
    EXPECT_EQ(on_ranks.code, 0) << on_ranks.errors;
    EXPECT_EQ(outcome(out(name)), outcome(out("one")));
  }
  // Each fold as a process of its own.
  const auto isolated = grid(out("isolated"), {"--config", config(), "--isolate"});
  EXPECT_EQ(isolated.code, 0) << isolated.errors;
  EXPECT_EQ(outcome(out("isolated")), outcome(out("one")));
}

TEST_F(GridSearch, InSharesEndsAsInOnePiece) {
  ASSERT_EQ(grid(out("one"), {"--config", config()}).code, 0);
  for (const char* chunk : {"1/3", "0/3", "2/3"}) {
    const auto part = grid(out("shares"), {"--config", config(), "--chunk", chunk});
    EXPECT_EQ(part.code, 0) << part.errors;
  }
  EXPECT_EQ(outcome(out("shares")), outcome(out("one")));
  EXPECT_EQ(states(out("shares")), states(out("one")));
}

TEST_F(GridSearch, TheConfigOfTheBestTrains) {
  const auto result = grid(out("one"), {"--config", config()});
  ASSERT_EQ(result.code, 0) << result.errors;
  const auto trained = run_program({"train", "--config", (out("one") / "search/human.run-1.ini").string(),
                                    "--out", out("trained").string()});
  ASSERT_EQ(trained.code, 0) << trained.errors;
  const auto searched = mgrn::formats::Table::read(out("one") / "search.csv");
  std::size_t best = 0;
  while (searched.column("state").at(best) != "best") {
    ++best;
  }
  const std::string resolved = read_file(out("trained") / "config.ini");
  EXPECT_NE(resolved.find("layers = " + searched.column("model.layers").at(best) + "\n"), std::string::npos);
  EXPECT_NE(resolved.find("fold = none\n"), std::string::npos);
  EXPECT_EQ(pairs_of(out("trained") / "split.csv", true),
            pairs_of(out("one") / "tasks/human.multigrnformer.standard.run-1/split.csv", true));
}

}  // namespace
