// SPDX-License-Identifier: Apache-2.0
// `bench` says something sensible of every stage. How fast a stage is, no test asserts: it would fail on a
// busy machine.
#include <gtest/gtest.h>

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

std::vector<Json> lines_of(const ProgramResult& result) {
  EXPECT_EQ(result.code, 0) << result.errors;
  std::vector<Json> lines;
  std::istringstream stream(result.output);
  for (std::string line; std::getline(stream, line);) {
    const Json value = Json::parse(line, nullptr, false);
    EXPECT_TRUE(value.is_object()) << line;
    EXPECT_EQ(line, value.dump()) << "keys are sorted, nothing else stands in the line";
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
  // What the exact sum takes is a difference of two times, which a disturbance may turn round.
  if (line.at("stage") != "reduction") {
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
                                           {{"--stage", "step", "--dataset", "D.h5"}, "network"}}) {
    const ProgramResult result = run_program(with({"bench"}, bad.arguments));
    EXPECT_EQ(result.code, 64) << bad.says << result.errors;
    EXPECT_NE(result.errors.find(bad.says), std::string::npos) << result.errors;
    EXPECT_NE(result.errors.find("hint: "), std::string::npos) << result.errors;
  }
}

}  // namespace
