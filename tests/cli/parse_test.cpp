// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/parse.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"

namespace {

using namespace mgrn::cli;
using mgrn::base::DataError;
using mgrn::base::UsageError;
using mgrn::test::TemporaryDirectory;

Config parsed(std::vector<std::string> arguments) {
  Invocation invocation;
  parse(arguments, invocation);
  return invocation.config;
}

std::string usage_message(const std::vector<std::string>& arguments) {
  try {
    parsed(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

TEST(Parse, TheCommandLineWinsOverTheConfigFile) {
  const TemporaryDirectory folder;
  std::ofstream(folder / "c.ini") << "[train]\nepochs = 7\nbatch = 64\n";
  const Config config = parsed({"train", "--config", (folder / "c.ini").string(), "--train.epochs", "9"});
  EXPECT_EQ(config.train.epochs, 9);
  EXPECT_EQ(config.train.batch, 64);
}

TEST(Parse, RelativePathsInAConfigBelongToItsFolder) {
  const TemporaryDirectory folder;
  std::ofstream(folder / "c.ini") << "[data]\ndataset = a.h5,/b.h5\nnetwork = ../n.csv\n";
  const Config config = parsed({"train", "--config", (folder / "c.ini").string()});
  ASSERT_EQ(config.train.datasets.size(), 2u);
  EXPECT_EQ(config.train.datasets[0], folder / "a.h5");
  EXPECT_EQ(config.train.datasets[1], "/b.h5");
  EXPECT_EQ(config.train.networks[0], folder.path().parent_path() / "n.csv");
}

// A Latin-1 name ended the run as a defect of the program when its first record was written, after the work.
TEST(Parse, NamesThatAreNotUtf8AreRefusedBeforeTheWork) {
  const TemporaryDirectory folder;
  const std::string message = usage_message({"train", "--out", "caf\xe9"});
  EXPECT_NE(message.find("out holds bytes that are not UTF-8"), std::string::npos) << message;
  EXPECT_NE(message.find("caf\xef\xbf\xbd"), std::string::npos) << message;
  std::ofstream(folder / "c.ini") << "[data]\ndataset = caf\xe9.h5\n";
  const std::string in_config = usage_message({"train", "--config", (folder / "c.ini").string()});
  EXPECT_NE(in_config.find("data.dataset holds bytes"), std::string::npos) << in_config;
  EXPECT_NE(in_config.find("c.ini"), std::string::npos) << in_config;
  EXPECT_EQ(parsed({"train", "--out", "caf\xc3\xa9"}).out, "caf\xc3\xa9");
}

TEST(Parse, OneConfigMayServeSeveralCommandsButNoKeyMayBeUnknownToAll) {
  const TemporaryDirectory folder;
  std::ofstream(folder / "c.ini") << "[prepare]\nqc = none\n[train]\nepochs = 4\n";
  EXPECT_EQ(parsed({"train", "--config", (folder / "c.ini").string()}).train.epochs, 4);
  EXPECT_EQ(parsed({"prepare", "--config", (folder / "c.ini").string()}).prepare.qc,
            mgrn::prepare::QcRule::none);
  std::ofstream(folder / "bad.ini") << "[prepare]\nqcc = none\n";
  const std::string message = usage_message({"train", "--config", (folder / "bad.ini").string()});
  EXPECT_NE(message.find("prepare.qc"), std::string::npos) << message;
}

TEST(Parse, HeadsFollowTheWidthAndTheSeedOfTrainingFollowsThatOfPairs) {
  const Config config = parsed({"train", "--model.width", "6", "--pairs.seed", "42"});
  EXPECT_EQ(config.train.shape.heads, 6);
  EXPECT_EQ(config.train.seed, 42u);
  const Config other = parsed({"train", "--model.width", "6", "--model.heads", "3", "--train.seed", "5"});
  EXPECT_EQ(other.train.shape.heads, 3);
  EXPECT_EQ(other.train.seed, 5u);
}

TEST(Parse, ThePoolingReadoutHasAShapeOfItsOwnUnlessItIsGiven) {
  const auto pool = parsed({"train", "--model.readout", "pool"}).train.shape;
  EXPECT_EQ(pool.width, 32);
  EXPECT_EQ(pool.hidden, 64);
  EXPECT_EQ(pool.columns(), 4);
  EXPECT_NO_THROW(mgrn::model::validate(pool));
  const auto given = parsed({"train", "--model.readout", "pool", "--model.width", "8", "--model.hidden", "5",
                             "--model.context", "cell,gene"})
                         .train.shape;
  EXPECT_EQ(given.width, 8);
  EXPECT_EQ(given.hidden, 5);
  EXPECT_EQ(given.columns(), 4 + 5 + 2 * 8);
  EXPECT_NO_THROW(mgrn::model::validate(given));
  // What the paper's encoder has and pooling has not is refused, not ignored; so is the other way round.
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"train", "--model.readout", "pool", "--model.heads", "4"},
        {"train", "--model.readout", "pool", "--model.positions", "standard"},
        {"train", "--model.context", "cell"}}) {
    EXPECT_THROW(mgrn::model::validate(parsed(wrong).train.shape), UsageError);
  }
}

TEST(Parse, PretrainingAndFineTuningHaveThePapersEpochs) {
  EXPECT_EQ(parsed({"pretrain"}).train.epochs, 25);
  EXPECT_EQ(parsed({"finetune"}).train.epochs, 10);
}

TEST(Parse, NothingIsGuessedFromTheBeginningOfAKey) {
  const std::string message = usage_message({"train", "--train.epoch", "3"});
  EXPECT_NE(message.find("expected train.epochs"), std::string::npos) << message;
}

// What is written as config.ini must give the same settings when it is read.
TEST(ResolvedConfig, ReadsBackToItself) {
  const TemporaryDirectory folder;
  const Config first =
      parsed({"train", "--data.dataset", "/a.h5", "--data.genes", "all", "--data.modalities", "rna",
              "--pairs.resample", "copies", "--train.learning_rate", "0.1", "--train.clip", "2.5",
              "--model.positions", "paper", "--cross.mixing", "balanced", "--data.precision", "int16"});
  std::ofstream(folder / "config.ini") << first.train.config_text;
  const Config second = parsed({"train", "--config", (folder / "config.ini").string()});
  EXPECT_EQ(first.train.config_text, second.train.config_text);
  EXPECT_EQ(second.train.gene_set.variable_genes, -1);
  EXPECT_FALSE(second.train.atac);
  EXPECT_EQ(second.train.precision, mgrn::pairs::Precision::int16);
}

TEST(ResolvedConfig, LeavesOutWhatResultsDoNotDependOn) {
  const std::string text =
      parsed({"train", "--train.threads", "2", "--out", "x", "--log-rank", "all"}).train.config_text;
  for (const char* key : {"threads", "\nout", "log", "checkpoint_every"}) {
    EXPECT_EQ(text.find(key), std::string::npos) << key;
  }
  EXPECT_NE(text.find("micro_batch = 16"), std::string::npos);
}

TEST(Recipes, ShippedOnesAreValidAndTheRecommendedOneIsTheDefault) {
  const std::string recipes = mgrn::test::source_path("configs/recipes/");
  EXPECT_EQ(parsed({"train", "--config", recipes + "recommended.ini"}).train.config_text,
            parsed({"train"}).train.config_text);
  const Config paper = parsed({"train", "--config", recipes + "paper.ini"});
  EXPECT_EQ(paper.train.resample, mgrn::pairs::Resample::once);
}

TEST(Help, NamesEveryKeyWithItsDefault) {
  for (const auto& command : commands()) {
    Config config;
    KeyTable table;
    command.keys(table, config);
    const std::string help = command_help(command);
    for (const auto& key : table.keys()) {
      EXPECT_NE(help.find("--" + key.name), std::string::npos) << command.name << " " << key.name;
      if (!key.flag && !key.get().empty() && key.placeholder.find('|') == std::string::npos) {
        EXPECT_NO_THROW(key.set(key.get()))
            << command.name << ": the default of " << key.name << " is not legal";
      }
    }
  }
}

}  // namespace
