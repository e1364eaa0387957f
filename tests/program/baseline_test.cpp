// SPDX-License-Identifier: Apache-2.0
// Baselines as users run them: by hand, in repeats, in a grid beside the model, and evaluated afterwards.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/formats/table.hpp"
#include "program/run_files.hpp"
#include "program/run_program.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using mgrn::base::Json;
using mgrn::test::content;
using mgrn::test::ProgramResult;
using mgrn::test::run_program;
using mgrn::test::small_case;
using mgrn::test::TemporaryDirectory;
using Arguments = std::vector<std::string>;

Arguments baseline(const std::string& method, const fs::path& out, const Arguments& more = {}) {
  Arguments arguments = {"baseline", "--method", method};
  const Arguments keys = small_case().training_keys(out);
  arguments.insert(arguments.end(), keys.begin(), keys.end());
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

void expect_done(const ProgramResult& result) {
  ASSERT_EQ(result.code, 0) << result.errors;
}

void expect_refused(const ProgramResult& result, int code, const std::string& says) {
  EXPECT_EQ(result.code, code) << result.errors;
  EXPECT_NE(result.errors.find(says), std::string::npos) << result.errors;
  EXPECT_NE(result.errors.find("\nhint: "), std::string::npos) << result.errors;
}

TEST(Baseline, IsRepeatedFromItsConfigAndOnOtherRanksWithTheSameBytes) {
  const TemporaryDirectory folder;
  expect_done(run_program(baseline("embeddings", folder / "alone", {"--baseline.components", "4"})));
  expect_done(run_program(baseline("embeddings", folder / "ranks", {"--baseline.components", "4"}), 3));
  expect_done(run_program({"baseline", "--config", (folder / "alone" / "config.ini").string(), "--out",
                           (folder / "again").string(), "--train.threads", "2"}));
  for (const char* file : {"config.ini", "split.csv", "predictions.csv", "rankedEdges.csv", "result.json"}) {
    EXPECT_EQ(content(folder / "ranks" / file), content(folder / "alone" / file)) << file;
    EXPECT_EQ(content(folder / "again" / file), content(folder / "alone" / file)) << file;
  }
  EXPECT_NE(content(folder / "alone" / "config.ini").find("\nmethod = embeddings\n"), std::string::npos);
}

TEST(Baseline, IsEvaluatedAnewFromItsFiles) {
  const TemporaryDirectory folder;
  expect_done(run_program(baseline("pearson", folder / "run")));
  const ProgramResult anew = run_program({"evaluate", "--run", (folder / "run").string()});
  expect_done(anew);
  const Json evaluated = Json::parse(anew.output);
  const Json stored = mgrn::base::read_json(folder / "run" / "result.json");
  EXPECT_EQ(evaluated["method"], "pearson");
  EXPECT_FALSE(evaluated.contains("with_cells"));
  for (const auto& [field, value] : evaluated.items()) {
    EXPECT_EQ(value, stored[field]) << field;
  }
  // A run without weights has nothing to predict with, and says so.
  expect_refused(
      run_program({"predict", "--run", (folder / "run").string(), "--out", (folder / "network").string()}),
      65, "no trained network");
}

TEST(Baseline, RepeatsHaveSplitsOfTheirOwnAndTheirListsAreComparedForStability) {
  const TemporaryDirectory folder;
  expect_done(run_program(baseline("marginals", folder / "runs", {"--runs", "2"})));
  const Json summary = mgrn::base::read_json(folder / "runs" / "summary.json");
  EXPECT_EQ(summary["auroc"]["runs"], 2);
  EXPECT_NE(content(folder / "runs" / "run-1" / "split.csv"),
            content(folder / "runs" / "run-2" / "split.csv"));
  const std::string first = (folder / "runs" / "run-1" / "rankedEdges.csv").string();
  const std::string second = (folder / "runs" / "run-2" / "rankedEdges.csv").string();
  const Arguments evaluate = {"evaluate", "--protocol", "stability", "--network",
                              small_case().network.string()};
  const auto with_edges = [&](const std::string& edges) {
    Arguments arguments = evaluate;
    arguments.insert(arguments.end(), {"--edges", edges});
    return run_program(arguments);
  };
  const ProgramResult agreement = with_edges(first + "," + second);
  expect_done(agreement);
  const Json json = Json::parse(agreement.output);
  EXPECT_EQ(json["n_lists"], 2);
  EXPECT_GT(json["spearman"]["median"].get<double>(), 0);
  EXPECT_LT(json["spearman"]["median"].get<double>(), 1);
  expect_refused(with_edges(first), 64, "stability needs several ranked lists");
  expect_refused(
      run_program({"evaluate", "--edges", first + "," + second, "--network", small_case().network.string()}),
      64, "takes one ranked list");
}

TEST(Baseline, WhatIsWrongIsSaid) {
  const TemporaryDirectory folder;
  expect_refused(run_program(baseline("pearsn", folder / "run")), 64,
                 "expected one of random, degree, neighbours, pearson");
  expect_refused(run_program({"baseline", "--out", "run"}), 64, "method is missing");
  expect_refused(run_program(baseline("pearson", folder / "run", {"--data.precision", "int8"})), 64,
                 "data.precision");
  expect_refused(run_program({"baseline", "--method", "degree", "--out", (folder / "run").string(),
                              "--data.dataset", (folder / "none.h5").string(), "--data.network",
                              small_case().network.string(), "--data.tfs", small_case().tfs.string()}),
                 65, "none.h5");
  EXPECT_FALSE(fs::exists(folder / "run"));
  expect_done(run_program(baseline("degree", folder / "run")));
  expect_refused(run_program(baseline("pearson", folder / "run")), 64, "method");
}

TEST(Baseline, StandsInAGridBesideTheModelOnTheSameSplit) {
  const TemporaryDirectory folder;
  std::ofstream(folder / "grid.ini")
      << "[grid]\nsettings = one\nstrategies = standard, augment\n"
         "methods = multigrnformer, degree, embeddings\nruns = 1..2\n"
         "[data]\ndataset = "
      << small_case().dataset.string() << "\nnetwork = " << small_case().network.string()
      << "\ntfs = " << small_case().tfs.string()
      << "\n[model]\ncells = 24\nhidden = 16\n[train]\nepochs = 2\n"
         "[method.embeddings]\nbaseline.components = 3\n[setting.one]\ndata.genes = all\n";
  const fs::path out = folder / "out";
  expect_done(
      run_program({"grid", "run", "--config", (folder / "grid.ini").string(), "--out", out.string()}, 2));
  const auto table = mgrn::formats::Table::read(out / "results.csv");
  const auto& methods = table.column("method");
  EXPECT_EQ(std::count(methods.begin(), methods.end(), "multigrnformer"), 4);
  EXPECT_EQ(std::count(methods.begin(), methods.end(), "degree"), 2);
  EXPECT_EQ(std::count(methods.begin(), methods.end(), "embeddings"), 2);
  const auto auroc = table.numbers("auroc");
  const auto degree = table.numbers("degree_auroc");
  for (std::size_t row = 0; row < table.rows(); ++row) {
    if (methods[row] == "degree") {
      EXPECT_EQ(auroc[row], degree[row]);
    }
  }
  for (const char* run : {".run-1", ".run-2"}) {
    const auto split = [&](const std::string& task) {
      return content(out / "tasks" / ("one." + task + run) / "split.csv");
    };
    EXPECT_EQ(split("degree.standard"), split("multigrnformer.standard"));
    EXPECT_EQ(split("embeddings.standard"), split("multigrnformer.augment"));
  }
}

}  // namespace
