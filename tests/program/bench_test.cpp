// SPDX-License-Identifier: Apache-2.0
// `bench` says something sensible of every stage. How fast a stage is, no test asserts: it would fail on a
// busy machine.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "multigrnformer/base/json.hpp"
#include "program/run_program.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"

namespace {

using mgrn::base::Json;
using mgrn::test::ProgramResult;
using mgrn::test::run_program;
using mgrn::test::small_case;
using mgrn::test::TemporaryDirectory;
using Arguments = std::vector<std::string>;

const Arguments kSmall = {"bench", "--seconds", "0.01", "--rounds", "2", "--cells-per-sample",
                          "40",    "--batch",   "32",   "--hidden", "8", "--layers",
                          "1",     "--range",   "2"};

/// The peaks of the small case; those made in memory are many.
Arguments small_peaks() {
  return {"--rna", small_case().raw.string(), "--annotation", small_case().annotation.string()};
}

Arguments with(Arguments arguments, const Arguments& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

bool keys_are_sorted(const std::string& line) {
  const auto value = nlohmann::ordered_json::parse(line);
  std::vector<std::string> keys;
  for (const auto& item : value.items()) {
    keys.push_back(item.key());
  }
  return std::is_sorted(keys.begin(), keys.end());
}

std::vector<Json> lines_of(const ProgramResult& result) {
  EXPECT_EQ(result.code, 0) << result.errors;
  std::vector<Json> lines;
  std::istringstream stream(result.output);
  for (std::string line; std::getline(stream, line);) {
    const Json value = Json::parse(line, nullptr, false);
    EXPECT_TRUE(value.is_object()) << line;
    EXPECT_TRUE(keys_are_sorted(line)) << line;
    lines.push_back(value);
  }
  return lines;
}

void expect_figures(const Json& line) {
  for (const char* key : {"batch", "cells", "ranks", "rounds", "threads"}) {
    ASSERT_TRUE(line.at(key).is_number_integer()) << key << line;
    EXPECT_GT(line.at(key).get<int>(), 0) << key << line;
  }
  EXPECT_FALSE(line.at("unit").get<std::string>().empty()) << line;
  EXPECT_TRUE(line.at("engine").is_null() || line.at("engine").is_string()) << line;
  // A share is a difference of two times, which a disturbance may turn round; so is what the exact sum takes.
  if (line.at("stage") != "reduction" && line.at("unit") != "share") {
    EXPECT_GT(line.at("min").get<double>(), 0) << line;
  }
  EXPECT_LE(line.at("min").get<double>(), line.at("median").get<double>()) << line;
  EXPECT_LE(line.at("median").get<double>(), line.at("max").get<double>()) << line;
}

TEST(Bench, EveryStageGivesFiguresAndTheMachineIsNamedOnce) {
  const auto lines =
      lines_of(run_program(with(with(kSmall, small_peaks()), {"--engine", "linear,quadratic"})));
  ASSERT_GT(lines.size(), 1u);
  EXPECT_EQ(lines[0].at("stage"), "machine");
  for (const char* key : {"processor", "compiler", "build_type", "version"}) {
    EXPECT_FALSE(lines[0].at(key).get<std::string>().empty()) << key;
  }
  EXPECT_TRUE(lines[0].at("instruction_sets").is_array());
  EXPECT_EQ(lines[0].at("gpus"), Json::array()) << "no GPU is measured";
  std::set<std::string> stages, engines;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    expect_figures(lines[i]);
    stages.insert(lines[i].at("stage").get<std::string>());
    if (lines[i].at("stage") == "step") {
      engines.insert(lines[i].at("engine").get<std::string>().substr(0, 6));
    }
  }
  EXPECT_EQ(stages, (std::set<std::string>{"sampler", "attention", "step", "reduction", "adam", "checkpoint",
                                           "rp", "allreduce"}));
  EXPECT_EQ(engines, (std::set<std::string>{"linear", "quadra"}));
}

TEST(Bench, MeasuresOverRanksAndThreads) {
  const auto lines = lines_of(run_program(
      with(kSmall, {"--stage", "sampler,step,reduction,rp,allreduce,checkpoint", "--threads", "2"}), 2));
  for (std::size_t i = 1; i < lines.size(); ++i) {
    expect_figures(lines[i]);
    EXPECT_EQ(lines[i].at("ranks"), 2);
  }
  EXPECT_EQ(lines.front().at("communication"), "mpi");
}

TEST(Bench, TakesARealDatasetAndRealPeaks) {
  const auto& base = small_case();
  const auto lines = lines_of(run_program(
      with(with(kSmall, small_peaks()), {"--stage", "sampler,step,rp", "--dataset", base.dataset.string(),
                                         "--network", base.network.string(), "--tfs", base.tfs.string()})));
  for (std::size_t i = 1; i < lines.size(); ++i) {
    expect_figures(lines[i]);
    if (lines[i].at("stage") == "rp") {
      EXPECT_EQ(lines[i].at("peaks"), 600);
      EXPECT_EQ(lines[i].at("cells"), 300);
    }
  }
}

/// What a line says of the way that heads went.
void expect_paths(const Json& paths, bool linear) {
  EXPECT_NEAR(paths.at("linear").get<double>() + paths.at("quadratic").get<double>(), 1, 1e-3) << paths;
  if (linear) {
    EXPECT_GT(paths.at("linear").get<double>(), 0.5) << paths;
    EXPECT_GE(paths.at("terms").get<double>(), 5) << paths;
  } else {
    EXPECT_EQ(paths.at("quadratic"), 1) << paths;
    EXPECT_EQ(paths.at("panels"), Json({{"0", 1.0}})) << paths;
  }
  double panels = 0;
  for (const Json& share : paths.at("panels")) {
    panels += share.get<double>();
  }
  EXPECT_NEAR(panels, 1, 1e-2) << paths;
  double last = 0;
  for (const char* key : {"0.5", "0.9", "0.99", "max"}) {
    EXPECT_GE(paths.at("range").at(key).get<double>(), last) << paths;
    last = paths.at("range").at(key).get<double>();
  }
  EXPECT_GT(last, 0) << paths;
}

TEST(Bench, TakesTheWeightsAndSamplesOfARunAndSaysWhichWayItsHeadsGo) {
  const TemporaryDirectory folder;
  const auto run = folder / "run";
  const auto trained = run_program(with(with({"train"}, small_case().training_keys(run)),
                                        {"--model.layers", "2", "--train.learning_rate", "0.02"}));
  ASSERT_EQ(trained.code, 0) << trained.errors;
  const Arguments quick = {"bench", "--seconds", "0.01", "--rounds", "1"};
  const Arguments of_run = {"--run",          run.string(), "--stage",
                            "step,attention", "--engine",   "linear,quadratic,reference"};
  const auto lines = lines_of(run_program(with(quick, of_run)));
  int step_lines = 0, attention_lines = 0;
  Json range_of_step;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const Json& line = lines[i];
    expect_figures(line);
    EXPECT_EQ(line.at("cells"), 24);
    const std::string engine = line.at("engine").get<std::string>();
    const Json& paths = line.at("paths");
    if (engine.starts_with("reference")) {
      EXPECT_TRUE(paths.is_null()) << "the reference has no choice";
      continue;
    }
    expect_paths(paths, engine.starts_with("linear"));
    if (line.at("stage") == "step") {
      ++step_lines;
      EXPECT_EQ(line.at("batch"), 32) << "the run's own";
      EXPECT_EQ(paths.at("heads"), 256 * 2 * 4);
      ASSERT_EQ(paths.at("layers").size(), 2U);
      for (const Json& layer : paths.at("layers")) {
        EXPECT_EQ(layer.at("heads"), 256 * 4);
        expect_paths(layer, engine.starts_with("linear"));
      }
      range_of_step = paths.at("layers")[0].at("range");
    } else {
      ++attention_lines;
      EXPECT_EQ(paths.at("heads"), 256 * 4);
    }
  }
  EXPECT_EQ(step_lines, 2);
  EXPECT_EQ(attention_lines, 2 * 2 * 3) << "engines, layers, measures";
  // Other weights, on the same samples, have other ranges; the same ones have the same, to the last digit.
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].at("stage") == "attention" && lines[i].at("layer") == 0) {
      EXPECT_EQ(lines[i].at("paths").at("range"), range_of_step);
    }
  }
  const auto& base = small_case();
  const auto untrained = lines_of(run_program(with(
      quick, {"--stage", "step", "--dataset", base.dataset.string(), "--network", base.network.string(),
              "--tfs", base.tfs.string(), "--cells-per-sample", "24", "--hidden", "16", "--layers", "2"})));
  ASSERT_EQ(untrained.size(), 2U);
  expect_paths(untrained[1].at("paths"), true);
  EXPECT_NE(untrained[1].at("paths").at("layers")[0].at("range"), range_of_step);
}

TEST(Bench, RefusesARunThatIsNoneAndKeysThatTheRunDecides) {
  const TemporaryDirectory folder;
  const auto run = folder / "run";
  const auto trained = run_program(with({"train"}, small_case().training_keys(run)));
  ASSERT_EQ(trained.code, 0) << trained.errors;
  const ProgramResult both = run_program({"bench", "--run", run.string(), "--hidden", "16"});
  EXPECT_EQ(both.code, 64) << both.errors;
  EXPECT_NE(both.errors.find("both --run and --hidden"), std::string::npos) << both.errors;
  std::filesystem::remove(run / "model.safetensors");
  const ProgramResult unfinished = run_program({"bench", "--run", run.string(), "--stage", "step"});
  EXPECT_EQ(unfinished.code, 65) << unfinished.errors;
  EXPECT_NE(unfinished.errors.find("no final weights"), std::string::npos) << unfinished.errors;
  const ProgramResult nothing = run_program({"bench", "--run", (folder / "none").string()});
  EXPECT_EQ(nothing.code, 65) << nothing.errors;
  EXPECT_NE(nothing.errors.find("not the folder of a run"), std::string::npos) << nothing.errors;
}

TEST(Bench, ThePotentialIsTheOneThatSciPyComputes) {
  const std::string python = MGRN_TEST_PYTHON;
  if (python.empty()) {
    GTEST_SKIP() << "no Python with numpy, scipy and h5py (-DMGRN_TEST_PYTHON=...)";
  }
  const auto& base = small_case();
  const auto own = lines_of(run_program(with(with(kSmall, small_peaks()), {"--stage", "rp"}), 3));
  const auto peer = lines_of(mgrn::test::run_shell(
      "'" + python + "' -B '" + mgrn::test::source_path("tests/benchmarks/scipy_rp.py") + "' '" +
      base.raw.string() + "' '" + base.annotation.string() + "' --seconds 0.01 --rounds 2"));
  ASSERT_EQ(own.size(), peer.size() + 1);
  for (std::size_t i = 0; i < peer.size(); ++i) {
    expect_figures(peer[i]);
    const double sum = own[i + 1].at("sum").get<double>();
    EXPECT_NEAR(peer[i].at("sum").get<double>(), sum, 1e-9 * sum);
    EXPECT_EQ(peer[i].at("nonzeros"), own[i + 1].at("nonzeros"));
    EXPECT_EQ(peer[i].at("unit"), own[i + 1].at("unit")) << "the same figures, by turns in compare.sh";
  }
}

TEST(Bench, LeavesNothingBehind) {
  const TemporaryDirectory folder;
  lines_of(run_program(with(kSmall, {"--stage", "step,checkpoint", "--out", folder.path().string()})));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Bench, RefusesWhatItDoesNotKnow) {
  struct Case {
    Arguments arguments;
    std::string says;
  };
  for (const Case& bad : std::vector<Case>{{{"--stage", "stpe"}, "unknown stage stpe"},
                                           {{"--stage", ","}, "illegal value of stage"},
                                           {{"--stage", "step", "--engine", "fast"}, "fast"},
                                           {{"--stage", "attention", "--isa", "neon"}, "neon"},
                                           {{"--cells-per-sample", "500,many"}, "\"many\""},
                                           {{"--seconds", "0"}, "seconds"},
                                           {{"--device", "cuda"}, "whole steps alone"},
                                           {{"--stage", "step,rp", "--device", "cuda"}, "got rp"},
                                           {{"--stage", "step", "--dataset", "D.h5"}, "network"}}) {
    const ProgramResult result = run_program(with({"bench"}, bad.arguments));
    EXPECT_EQ(result.code, 64) << bad.says << result.errors;
    EXPECT_NE(result.errors.find(bad.says), std::string::npos) << result.errors;
    EXPECT_NE(result.errors.find("hint: "), std::string::npos) << result.errors;
  }
}

}  // namespace
