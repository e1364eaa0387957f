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
      "[job.finetune]\ntrain.epochs = 3\n[strategy.both]\npairs.augment = 2\n[baseline]\ncomponents = 9\n"
      "[method.embeddings]\nbaseline.components = 8\n",
      folder);
  EXPECT_EQ(grid.settings, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(grid.strategies, (std::vector<std::string>{"standard"}));
  EXPECT_EQ(grid.runs, (std::vector<std::uint64_t>{1, 2}));
  using experiments::Keys;
  EXPECT_EQ(grid.common, (Keys{{"baseline.components", "9"}, {"data.genes", "500"}}));
  EXPECT_EQ(grid.method_keys.at("embeddings"), (Keys{{"baseline.components", "8"}}));
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

TEST(GridFile, TakesTheDataFolderFromItsOwnPlaceOrTheCommandLine) {
  const TemporaryDirectory folder;
  const std::string text = "[grid]\nsettings = a\n[data]\nnetwork = {data}/net.csv, own.csv\n";
  const auto network = [&](const std::string& more, const std::vector<std::string>& arguments) {
    return read(text + more, folder, arguments).common.at("data.network");
  };
  const std::string own = "," + (folder / "own.csv").string();
  EXPECT_EQ(network("[setting.a]\n", {"--grid.data", "/raw"}), "/raw/net.csv" + own);
  EXPECT_EQ(network("[setting.a]\n", {"--grid.data", "raw"}),
            (std::filesystem::current_path() / "raw/net.csv").string() + own);
  try {
    network("[setting.a]\n", {});
    FAIL() << "a path without its folder was taken";
  } catch (const base::UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("--grid.data DIR"), std::string::npos) << error.what();
  }
  EXPECT_EQ(read("[grid]\nsettings = a\ndata = raw\n[setting.a]\ndata.dataset = {data}/../x.h5\n", folder)
                .setting_keys.at("a")
                .at("data.dataset"),
            (folder / "x.h5").string());
}

TEST(GridFile, IncludesAnotherWhosePathsBelongToThatOnesFolder) {
  const TemporaryDirectory folder;
  std::filesystem::create_directories(folder / "common");
  std::ofstream(folder / "common/settings.ini")
      << "[grid]\nruns = 1..5\n[data]\nnetwork = net.csv\ngenes = 500\n[setting.b]\n"
         "data.dataset = b.h5\n[setting.a]\ndata.dataset = a.h5\n[variant.hard]\npairs.split = tf-heldout\n";
  const auto grid = read(
      "[grid]\ninclude = common/settings.ini\nsettings = all\nvariants = plain, hard\nruns = 2\n[data]\n"
      "genes = all\n",
      folder);
  EXPECT_EQ(grid.settings, (std::vector<std::string>{"a", "a+hard", "b", "b+hard"}));
  EXPECT_EQ(grid.runs, (std::vector<std::uint64_t>{2}));
  EXPECT_EQ(grid.common.at("data.genes"), "all");
  EXPECT_EQ(grid.common.at("data.network"), (folder / "common/net.csv").string());
  EXPECT_EQ(grid.setting_keys.at("b+hard").at("data.dataset"), (folder / "common/b.h5").string());
  std::ofstream(folder / "common/settings.ini") << "[grid]\ninclude = other.ini\n";
  EXPECT_THROW(read("[grid]\ninclude = common/settings.ini\nsettings = a\n", folder), base::UsageError);
  EXPECT_THROW(read("[grid]\ninclude = common/none.ini\nsettings = a\n", folder), base::DataError);
}

TEST(GridFile, ReadsASearchAndItsSpace) {
  const TemporaryDirectory folder;
  const std::string grid = "[grid]\nsettings = a\nstrategies = search\n[setting.a]\n";
  const auto search = read(grid +
                               "[search]\ndesign = random\npoints = 7\nkeep = 0.5\nfolds = 3\nseed = 2\n"
                               "metric = average_precision\n[space]\nmodel.layers = 1, 2\nmodel.cells = 9\n",
                           folder)
                          .search;
  EXPECT_EQ(search.design, experiments::SearchSpace::Design::random);
  EXPECT_EQ(search.points, 7U);
  EXPECT_EQ(search.keep, 0.5);
  EXPECT_EQ(search.folds, 3U);
  EXPECT_EQ(search.seed, 2U);
  EXPECT_EQ(search.metric, "average_precision");
  using Values = std::vector<std::pair<std::string, std::vector<std::string>>>;
  EXPECT_EQ(search.values, (Values{{"model.cells", {"9"}}, {"model.layers", {"1", "2"}}}));
  for (const char* wrong :
       {"[search]\nkeep = 0\n", "[search]\nkeep = 1.5\n", "[search]\nfolds = 1\n", "[search]\ndesign = x\n",
        "[search]\nmetric = loss\n", "[search]\nfold = 5\n", "[space]\nmodel.cell = 5\n",
        "[space]\ndata.genes = 500, 1000\n", "[space]\npairs.fold = 1/5\n"}) {
    EXPECT_THROW(read(grid + wrong, folder), base::UsageError) << wrong;
  }
}

}  // namespace
}  // namespace mgrn::cli
