// SPDX-License-Identifier: Apache-2.0
// A baseline's folder: what is in it, that nothing is done twice, and what is refused.
#include "multigrnformer/baselines/run.hpp"

#include <gtest/gtest.h>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/stop_signal.hpp"
#include "multigrnformer/baselines/method.hpp"
#include "multigrnformer/evaluate/beeline.hpp"
#include "multigrnformer/evaluate/predictions_file.hpp"
#include "multigrnformer/formats/edge_table.hpp"
#include "multigrnformer/train/run.hpp"
#include "support/temporary_directory.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::baselines {
namespace {

namespace fs = std::filesystem;
using base::read_file;

class BaselineRun : public testing::Test {
 protected:
  BaselineRun() { train::test::write_tiny_inputs(folder_.path()); }

  train::Settings settings(const std::string& name, const std::string& method) const {
    train::Settings own = train::test::tiny_settings(folder_.path(), folder_ / name);
    own.config_text = "method = " + method + "\n\n" + own.config_text;
    return own;
  }
  base::Json run(const std::string& name, const std::string& method) const {
    return run_baseline(settings(name, method), {.method = method}, *self_);
  }

  const mgrn::test::TemporaryDirectory folder_;
  const std::unique_ptr<comm::Communicator> self_ = comm::make_self_communicator();
};

TEST_F(BaselineRun, HasTheSplitOfTrainAndItsFiles) {
  train::run_training(train::test::tiny_settings(folder_.path(), folder_ / "trained"), *self_);
  const base::Json trained = base::read_json(folder_ / "trained" / "result.json");
  for (const auto& method : methods()) {
    if (!std::holds_alternative<PrepareScorer>(method.work)) {
      continue;
    }
    SCOPED_TRACE(method.name);
    const base::Json result = run(method.name, method.name);
    const fs::path out = folder_ / method.name;
    EXPECT_EQ(read_file(out / "split.csv"), read_file(folder_ / "trained" / "split.csv"));
    EXPECT_EQ(base::read_json(out / "result.json"), result);
    EXPECT_EQ(result["method"], method.name);
    for (const auto& [field, value] : trained.items()) {
      // What says how a model was trained has no meaning here; all metrics and their controls do.
      if (field.find("auroc") != std::string::npos || field.find("precision") != std::string::npos ||
          field.find("auprc") != std::string::npos || field.rfind("n_", 0) == 0) {
        EXPECT_TRUE(result.contains(field)) << field;
      }
    }
    EXPECT_EQ(result["degree_auroc"], trained["degree_auroc"]);
    const auto scored = evaluate::read_predictions(out / "predictions.csv");
    const auto expected = evaluate::read_predictions(folder_ / "trained" / "predictions.csv");
    ASSERT_EQ(scored.size(), expected.size());
    for (std::size_t i = 0; i < scored.size(); ++i) {
      EXPECT_EQ(scored[i].tf, expected[i].tf);
      EXPECT_EQ(scored[i].gene, expected[i].gene);
      EXPECT_EQ(scored[i].label, expected[i].label);
    }
    const auto ranked = formats::read_ranked_edges(out / "rankedEdges.csv");
    EXPECT_EQ(ranked.edges.size(), result["ranked_edges"].get<std::size_t>());
    EXPECT_TRUE(fs::exists(out / "run_info.json"));
  }
}

TEST_F(BaselineRun, RanksEveryTestPairAsItScoresIt) {
  run("pearson", "pearson");
  const auto ranked = formats::read_ranked_edges(folder_ / "pearson" / "rankedEdges.csv");
  auto pairs = evaluate::read_predictions(folder_ / "pearson" / "predictions.csv");
  const auto wanted = pairs;
  evaluate::score_pairs(ranked, pairs);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    EXPECT_EQ(pairs[i].score, wanted[i].score) << pairs[i].tf << " -> " << pairs[i].gene;
  }
}

TEST_F(BaselineRun, TheDegreeMethodScoresAsTheControlBesideEveryResult) {
  const base::Json result = run("degree", "degree");
  EXPECT_EQ(result["auroc"], result["degree_auroc"]);
  EXPECT_EQ(result["average_precision"], result["degree_average_precision"]);
  EXPECT_EQ(result["within_tf_auroc"], result["degree_within_tf_auroc"]);
}

TEST_F(BaselineRun, IsNotDoneAgainOnceItIsFinishedAndOtherSettingsAreRefused) {
  run("once", "spearman");
  const auto file = folder_ / "once" / "rankedEdges.csv";
  fs::remove(file);
  run("once", "spearman");
  EXPECT_FALSE(fs::exists(file));
  EXPECT_THROW(run("once", "pearson"), base::UsageError);
}

TEST_F(BaselineRun, TakesASplitFileAndScoresItsGenesOutsideTheGeneSet) {
  train::Settings own = settings("split", "marginals");
  own.gene_set.variable_genes = 5;  // the tiny network's genes are 36
  own.split_file = folder_ / "own.csv";
  base::write_file_atomically(own.split_file,
                              "tf,gene,label,set\n"
                              "G100,G101,1,train\nG100,G112,0,train\nG101,G113,1,validation\n"
                              "G101,G114,0,train\nG112,G115,1,test\nG102,G116,0,test\n");
  const base::Json result = run_baseline(own, {.method = "marginals"}, *self_);
  EXPECT_EQ(result["n_positive"], 1);
  EXPECT_EQ(result["n_negative"], 1);
  EXPECT_EQ(result["training_pairs"], 3);
  EXPECT_EQ(result["validation_pairs"], 1);
}

TEST_F(BaselineRun, ReadsADatasetFromEachNodesOwnDiskAndLeavesNoTrace) {
  train::Settings own = settings("staged", "embeddings");
  own.stage = folder_ / "own" / "disk";
  run_baseline(own, {.method = "embeddings"}, *self_);
  run("shared", "embeddings");
  EXPECT_EQ(read_file(own.out / "result.json"), read_file(folder_ / "shared" / "result.json"));
  EXPECT_EQ(read_file(own.out / "run_info.json").find("disk"), std::string::npos);
  EXPECT_FALSE(fs::is_empty(own.stage));
}

TEST_F(BaselineRun, StopsOnASignalAndGoesOnWhenStartedAgain) {
  base::request_stop();
  try {
    run("stopped", "pearson");
    ADD_FAILURE() << "did not stop";
  } catch (const base::Stopped&) {
  }
  base::clear_stop_signal();
  EXPECT_TRUE(fs::exists(folder_ / "stopped" / "stopped"));
  EXPECT_FALSE(fs::exists(folder_ / "stopped" / "result.json"));
  run("stopped", "pearson");
  run("straight", "pearson");
  EXPECT_FALSE(fs::exists(folder_ / "stopped" / "stopped"));
  EXPECT_EQ(read_file(folder_ / "stopped" / "result.json"), read_file(folder_ / "straight" / "result.json"));
}

TEST_F(BaselineRun, RefusesUnknownMethodsAndSeveralDatasets) {
  EXPECT_THROW(run("unknown", "pearsn"), base::UsageError);
  EXPECT_FALSE(fs::exists(folder_ / "unknown"));
  train::Settings two = settings("two", "pearson");
  two.datasets.push_back(two.datasets.front());
  EXPECT_THROW(run_baseline(two, {.method = "pearson"}, *self_), base::UsageError);
}

}  // namespace
}  // namespace mgrn::baselines
