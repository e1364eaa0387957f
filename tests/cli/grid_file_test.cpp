// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/grid_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/parse.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::cli {
namespace {

using mgrn::test::TemporaryDirectory;

experiments::GridFile read(const std::string& text, const TemporaryDirectory& folder,
                           const std::vector<std::string>& more = {}) {
  std::ofstream(folder / "grid.ini") << text;
  std::vector<std::string> arguments = {"grid",  "plan", "--config", (folder / "grid.ini").string(),
                                        "--out", "grid"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  Invocation invocation;
  parse(arguments, invocation);
  KeyTable table;
  invocation.command->keys(table, invocation.config);
  return read_grid_file(invocation.config.config_file, invocation.config, table);
}

TEST(GridFile, SortsKeysIntoTheSectionsTheyBelongTo) {
  const TemporaryDirectory folder;
  const auto grid = read(
      "[grid]\nsettings = a, b\nruns = 1..2\n[data]\ngenes = 500\n[prepare]\nqc = none\n[simulate]\ncells = "
      "9\n"
      "[setting.a]\ndataset = d\nsources = b\nmodel.layers = 1\n[dataset.d]\nsimulate.seed = 3\nprepare.clip "
      "= 4\n"
      "[job.finetune]\ntrain.epochs = 3\n[strategy.both]\npairs.augment = 2\n",
      folder);
  EXPECT_EQ(grid.settings, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(grid.strategies, (std::vector<std::string>{"standard"}));
  EXPECT_EQ(grid.runs, (std::vector<std::uint64_t>{1, 2}));
  using experiments::Keys;
  EXPECT_EQ(grid.common, (Keys{{"data.genes", "500"}}));
  EXPECT_EQ(grid.preparation, (Keys{{"prepare.qc", "none"}, {"simulate.cells", "9"}}));
  EXPECT_EQ(grid.setting_keys.at("a"), (Keys{{"dataset", "d"}, {"sources", "b"}, {"model.layers", "1"}}));
  EXPECT_EQ(grid.datasets.at("d"), (Keys{{"simulate.seed", "3"}, {"prepare.clip", "4"}}));
  EXPECT_EQ(grid.job_keys.at("finetune"), (Keys{{"train.epochs", "3"}}));
  EXPECT_EQ(grid.strategy_keys.at("both"), (Keys{{"pairs.augment", "2"}}));
  EXPECT_TRUE(grid.command_line.empty());
}

TEST(GridFile, RelativePathsBelongToItsFolderThoseOnTheCommandLineToTheWorkingDirectory) {
  const TemporaryDirectory folder;
  const auto grid = read(
      "[grid]\nsettings = a\n[data]\nnetwork = net.csv\ntfs = /lists/tfs.csv\n[setting.a]\n"
      "data.dataset = ../x.h5\n[dataset.d]\nrna = raw/d.h5\n",
      folder, {"--data.tfs", "other.csv"});
  const auto in_folder = [&](const std::string& path) {
    return (folder.path() / path).lexically_normal().string();
  };
  EXPECT_EQ(grid.common.at("data.network"), in_folder("net.csv"));
  EXPECT_EQ(grid.common.at("data.tfs"), "/lists/tfs.csv");
  EXPECT_EQ(grid.setting_keys.at("a").at("data.dataset"), in_folder("../x.h5"));
  EXPECT_EQ(grid.datasets.at("d").at("rna"), in_folder("raw/d.h5"));
  EXPECT_EQ(grid.command_line.at("data.tfs"), (std::filesystem::current_path() / "other.csv").string());
}

TEST(GridFile, TheCommandLineWinsOverItsLists) {
  const TemporaryDirectory folder;
  const auto grid = read("[grid]\nsettings = a, b\nstrategies = cross\nruns = 1..5\n", folder,
                         {"--grid.settings", "b", "--grid.runs", "7", "--train.epochs", "2"});
  EXPECT_EQ(grid.settings, (std::vector<std::string>{"b"}));
  EXPECT_EQ(grid.strategies, (std::vector<std::string>{"cross"}));
  EXPECT_EQ(grid.runs, (std::vector<std::uint64_t>{7}));
  EXPECT_EQ(grid.command_line, (experiments::Keys{{"train.epochs", "2"}}));
}

TEST(GridFile, AnUnknownKeyIsRefusedWithTheNearestOneOfItsSection) {
  const TemporaryDirectory folder;
  for (const auto& [text, near] : {std::pair("[setting.a]\ndatasett = x\n", "dataset"),
                                   std::pair("[setting.a]\nmodel.layer = 1\n", "model.layers"),
                                   std::pair("[dataset.a]\nsimulate.cell = 1\n", "simulate.cells"),
                                   std::pair("[dataset.a]\nout = x\n", "a key of `grid`"),
                                   std::pair("[grid]\nsetings = a\n", "grid.settings"),
                                   std::pair("[strategy.both]\npairs.augmnt = 1\n", "pairs.augment")}) {
    try {
      read(text, folder);
      ADD_FAILURE() << text;
    } catch (const base::UsageError& error) {
      EXPECT_NE(std::string(error.what()).find(std::string("expected ") + near), std::string::npos)
          << text << error.what();
    }
  }
}

}  // namespace
}  // namespace mgrn::cli
