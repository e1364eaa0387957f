// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/report.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/evaluate/controls.hpp"
#include "multigrnformer/evaluate/predictions_file.hpp"
#include "support/temporary_directory.hpp"

namespace {

using namespace mgrn::evaluate;
using mgrn::base::Json;
using mgrn::formats::NamedEdge;

const std::vector<NamedEdge> kTraining = {{"T1", "G1"}, {"T1", "G2"}, {"T2", "G1"}};

TEST(DegreeControl, MultipliesDegreesOverTrainingPositives) {
  const DegreeControl control(kTraining);
  EXPECT_EQ(control.score("T1", "G1"), 9.0);
  EXPECT_EQ(control.score("t2", "g2"), 4.0);
  EXPECT_EQ(control.score("T3", "G3"), 1.0);
  EXPECT_EQ(control.score("G1", "T1"), 1.0);  // a target's in-degree is not an out-degree
}

TEST(Report, HoldsEveryFieldOfTheResultFile) {
  const std::vector<ScoredPair> pairs = {{"T1", "G1", 1, 0.9},
                                         {"T1", "G3", 0, 0.2},
                                         {"T2", "G2", 1, 0.4},
                                         {"T2", "G3", 0, 0.6},
                                         {"T2", "G4", 0, 0.0, false}};
  const Json json = to_json(evaluate_pairs(pairs, kTraining, 3));
  EXPECT_EQ(json["seed"], 3);
  EXPECT_EQ(json["n_positive"], 2);
  EXPECT_EQ(json["n_negative"], 3);
  EXPECT_EQ(json["n_without_cells"], 1);
  EXPECT_EQ(json["random_auroc"], 0.5);
  EXPECT_DOUBLE_EQ(json["random_auprc"].get<double>(), 0.4);
  EXPECT_DOUBLE_EQ(json["auroc"].get<double>(), 5.0 / 6.0);
  EXPECT_DOUBLE_EQ(json["average_precision"].get<double>(), 0.5 * (1.0 + 2.0 / 3.0));
  EXPECT_DOUBLE_EQ(json["average_precision_ratio"].get<double>(), 0.5 * (1.0 + 2.0 / 3.0) / 0.4);
  EXPECT_DOUBLE_EQ(json["auprc_ratio"].get<double>(), json["auprc"].get<double>() / 0.4);
  // T1: 1 of 1 in order (2 pairs); T2: 0.4 above one of two negatives (3 pairs).
  EXPECT_DOUBLE_EQ(json["within_tf_auroc"].get<double>(), (1.0 * 2 + 0.5 * 3) / 5);
  EXPECT_DOUBLE_EQ(json["early_precision"].get<double>(), 0.5);
  EXPECT_DOUBLE_EQ(json["early_precision_ratio"].get<double>(), 1.25);
  // Degrees: 9, 3, 4, 2, 2.
  EXPECT_DOUBLE_EQ(json["degree_auroc"].get<double>(), 1.0);
  EXPECT_DOUBLE_EQ(json["degree_average_precision"].get<double>(), 1.0);
  EXPECT_EQ(json["with_cells"]["n_negative"], 2);
  EXPECT_DOUBLE_EQ(json["with_cells"]["auroc"].get<double>(), 0.75);
}

TEST(Report, WritesUndefinedMetricsAsNull) {
  const std::vector<ScoredPair> pairs = {{"T1", "G1", 1, 0.9}};
  const Json json = to_json(evaluate_pairs(pairs, {}, 1));
  EXPECT_TRUE(json["auroc"].is_null());
  EXPECT_TRUE(json["within_tf_auroc"].is_null());
  EXPECT_DOUBLE_EQ(json["average_precision"].get<double>(), 1.0);
}

TEST(Report, RefusesAnEmptySet) {
  EXPECT_THROW(evaluate_pairs({}, {}, 1), mgrn::base::DataError);
}

TEST(Summary, GivesMeanAndSampleDeviationOverRuns) {
  const std::vector<Json> runs = {{{"auroc", 0.5}, {"seed", 1}, {"with_cells", {{"auroc", 0.4}}}},
                                  {{"auroc", 0.7}, {"seed", 2}, {"with_cells", {{"auroc", nullptr}}}},
                                  {{"auroc", 0.9}, {"seed", 3}, {"with_cells", {{"auroc", 0.8}}}}};
  const Json json = summary(runs);
  EXPECT_DOUBLE_EQ(json["auroc"]["mean"].get<double>(), 0.7);
  EXPECT_NEAR(json["auroc"]["sd"].get<double>(), 0.2, 1e-15);
  EXPECT_EQ(json["auroc"]["runs"], 3);
  EXPECT_EQ(json["seeds"], Json({1, 2, 3}));
  EXPECT_NEAR(json["with_cells"]["auroc"]["sd"].get<double>(), 0.4 / std::sqrt(2.0), 1e-15);
  EXPECT_EQ(json["with_cells"]["auroc"]["runs"], 2);
  EXPECT_TRUE(summary(std::vector<Json>{runs[0]})["auroc"]["sd"].is_null());
}

TEST(PredictionsFile, ReadsBackTheSameBits) {
  const mgrn::test::TemporaryDirectory directory;
  const std::vector<ScoredPair> pairs = {{"Tf1", "G,1", 1, 0.1},
                                         {"Tf1", "G2", 0, 1.0 / 3.0},
                                         {"Tf2", "G3", 0, 0.0, false},
                                         {"Tf2", "G4", 1, 1e-5}};
  write_predictions(directory / "predictions.csv", pairs);
  EXPECT_EQ(
      mgrn::base::read_file(directory / "predictions.csv"),
      "tf,gene,label,score\nTf1,\"G,1\",1,0.1\nTf1,G2,0,0.3333333333333333\nTf2,G3,0,0\nTf2,G4,1,1e-05\n");
  const std::vector<ScoredPair> back = read_predictions(directory / "predictions.csv");
  ASSERT_EQ(back.size(), pairs.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    EXPECT_EQ(back[i].tf, pairs[i].tf);
    EXPECT_EQ(back[i].gene, pairs[i].gene);
    EXPECT_EQ(back[i].label, pairs[i].label);
    EXPECT_EQ(back[i].score, pairs[i].score);
    EXPECT_EQ(back[i].has_cells, pairs[i].has_cells);
  }
}

TEST(PredictionsFile, RefusesWhatIsNotAPrediction) {
  const mgrn::test::TemporaryDirectory directory;
  const std::vector<ScoredPair> bad = {{"A", "B", 1, std::nan("")}};
  EXPECT_THROW(write_predictions(directory / "p.csv", bad), mgrn::base::NumericError);
  EXPECT_FALSE(std::filesystem::exists(directory / "p.csv"));
  for (const std::string content : {"tf,gene,label,score\nA,B,2,0.5\n", "tf,gene,label,score\nA,B,1,nan\n",
                                    "tf,gene,label,score\nA,B,1,x\n", "tf,gene,label\nA,B,1\n"}) {
    std::ofstream(directory / "p.csv") << content;
    EXPECT_THROW(read_predictions(directory / "p.csv"), mgrn::base::DataError) << content;
  }
  EXPECT_THROW(read_predictions(directory / "absent.csv"), mgrn::base::DataError);
}

TEST(SplitFile, GivesTestPairsAndTrainingPositives) {
  const mgrn::test::TemporaryDirectory directory;
  std::ofstream(directory / "split.csv")
      << "tf,gene,label,set\nA,B,1,train\nA,C,0,train\nA,D,1,validation\nA,E,1,test\nA,F,0,test\n";
  const SplitPairs split = read_split_pairs(directory / "split.csv");
  ASSERT_EQ(split.test.size(), 2u);
  EXPECT_EQ(split.test[0].gene, "E");
  ASSERT_EQ(split.training_positives.size(), 2u);
  EXPECT_EQ(split.training_positives[1].gene, "D");
  std::ofstream(directory / "split.csv") << "tf,gene,label,set\nA,B,1,training\n";
  EXPECT_THROW(read_split_pairs(directory / "split.csv"), mgrn::base::DataError);
  std::ofstream(directory / "split.csv") << "tf,gene,label,set\nA,B,1,train\n";
  EXPECT_THROW(read_split_pairs(directory / "split.csv"), mgrn::base::DataError);
}

}  // namespace
