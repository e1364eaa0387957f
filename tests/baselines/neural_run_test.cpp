// SPDX-License-Identifier: Apache-2.0
// Whole runs of CNNC and STGRNS through the training loop, on a dataset of 40 cells.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "baselines/tiny_neural_run.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/formats/safetensors.hpp"
#include "multigrnformer/train/predict.hpp"
#include "multigrnformer/train/run.hpp"
#include "support/temporary_directory.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::baselines {
namespace {

class NeuralRun : public ::testing::TestWithParam<const char*> {
 protected:
  NeuralRun() { train::test::write_tiny_inputs(folder_.path()); }

  train::Settings settings(const char* out) const {
    return test::tiny_neural_settings(GetParam(), folder_.path(), folder_ / out);
  }
  base::Json run(const train::Settings& settings, const train::Hooks& hooks = {}) const {
    const auto self = comm::make_self_communicator();
    return train::run_training(settings, *self, hooks);
  }

  mgrn::test::TemporaryDirectory folder_;
};

TEST_P(NeuralRun, LeavesTheFolderOfATrainedRunWithTheMethodsName) {
  const base::Json result = run(settings("run"));
  EXPECT_EQ(result.at("method"), GetParam());
  EXPECT_EQ(result.at("chosen_epoch"), 1);  // the last: the recipes choose none
  EXPECT_TRUE(std::isfinite(result.at("auroc").get<double>()));
  EXPECT_TRUE(result.contains("degree_auroc"));
  EXPECT_GT(result.at("n_without_cells").get<int>(), 0);
  EXPECT_EQ(base::read_json(folder_ / "run/run_info.json").at("job"), "baseline");
  const auto weights = formats::read_safetensors(folder_ / "run/model.safetensors");
  EXPECT_EQ(weights.metadata.at("baseline.method"), GetParam());
  EXPECT_TRUE(weights.tensors.contains("classifier.0.weight"));
  // Pairs without a shared cell are trained on and scored like all others.
  const auto table = base::read_file(folder_ / "run/predictions.csv");
  EXPECT_EQ(table.find(",0\n"), std::string::npos);
}

TEST_P(NeuralRun, GivesTheSameBytesOnThreadsAndAfterAStop) {
  run(settings("whole"));
  const std::string whole = train::test::promised_bytes(folder_ / "whole");
  train::Settings threads = settings("threads");
  threads.threads = 2;
  run(threads);
  EXPECT_EQ(train::test::promised_bytes(folder_ / "threads"), whole);
  for (const std::int64_t stop : {2, 5}) {
    try {
      run(settings("stopped"), {.stop_after_step = stop});
      ADD_FAILURE() << "did not stop";
    } catch (const base::Stopped&) {
    }
  }
  run(settings("stopped"));
  EXPECT_EQ(train::test::promised_bytes(folder_ / "stopped"), whole);
  train::Settings other = settings("other");
  other.seed = 2;
  run(other);
  EXPECT_NE(base::read_file(folder_ / "other/model.safetensors"),
            base::read_file(folder_ / "whole/model.safetensors"));
}

TEST_P(NeuralRun, PredictsANetworkFromItsWeights) {
  run(settings("run"));
  const auto self = comm::make_self_communicator();
  const base::Json facts = train::run_prediction(
      settings("run"), {.run = folder_ / "run", .votes = 5, .out = folder_ / "network"}, *self);
  EXPECT_EQ(facts.at("edges"), facts.at("candidate_pairs"));
  EXPECT_EQ(facts.at("votes"), 1);
  EXPECT_NE(base::read_file(folder_ / "network/rankedEdges.csv").find("Gene1\tGene2"), std::string::npos);
}

TEST_P(NeuralRun, RefusesWhatItCannotFollow) {
  const auto expect_refusal = [&](auto change, const std::string& key) {
    train::Settings changed = settings("refused");
    change(changed);
    try {
      run(changed);
      ADD_FAILURE() << key << " is taken";
    } catch (const base::UsageError& error) {
      EXPECT_EQ(error.text().file, key);
    }
  };
  expect_refusal([](auto& s) { s.device = "cuda"; }, "train.device");
  expect_refusal([](auto& s) { s.augment = 5; }, "pairs.augment");
  expect_refusal([](auto& s) { s.votes = 2; }, "predict.votes");
  expect_refusal([](auto& s) { s.engine.kind = "linear"; }, "train.engine");
  expect_refusal([](auto& s) { s.engine.isa = "avx2"; }, "train.isa");
  expect_refusal([](auto& s) { s.adam.freeze = train::Freeze::encoder; }, "train.freeze");
  expect_refusal([](auto& s) { s.context.gene = true; }, "model.context");
  expect_refusal([](auto& s) { s.pair_cells = pairs::PairCells::either; }, "pairs.cells");
}

TEST_P(NeuralRun, RefusesWeightsOfTheOtherMethod) {
  run(settings("run"));
  const std::string other = std::string(GetParam()) == "cnnc" ? "stgrns" : "cnnc";
  train::Settings settings = test::tiny_neural_settings(other, folder_.path(), folder_ / "other");
  settings.init = folder_ / "run/model.safetensors";
  try {
    run(settings);
    FAIL() << "taken";
  } catch (const base::DataError& error) {
    EXPECT_NE(error.text().what.find("baseline.method"), std::string::npos) << error.text().what;
  }
}

INSTANTIATE_TEST_SUITE_P(Of, NeuralRun, ::testing::Values("cnnc", "stgrns"),
                         [](const auto& one) { return std::string(one.param); });

TEST(StgrnsRun, ADatasetWithFewerCellsThanAWindowIsADataError) {
  const mgrn::test::TemporaryDirectory folder;
  train::test::write_tiny_inputs(folder.path());
  train::Settings settings = test::tiny_neural_settings("stgrns", folder.path(), folder / "run");
  settings.method = make_stgrns({.window = 100});
  const auto self = comm::make_self_communicator();
  EXPECT_THROW(train::run_training(settings, *self), base::DataError);
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST(CnncRun, ASourceThatIsNoCountsIsNotNormalised) {
  const mgrn::test::TemporaryDirectory folder;
  train::test::write_tiny_inputs(folder.path());  // says nothing of its preparation
  train::Settings settings = test::tiny_neural_settings("cnnc", folder.path(), folder / "run");
  settings.method = make_cnnc({.values = Values::normalised});
  const auto self = comm::make_self_communicator();
  EXPECT_THROW(train::run_training(settings, *self), base::DataError);
}

}  // namespace
}  // namespace mgrn::baselines
