// SPDX-License-Identifier: Apache-2.0
// Whole runs on a tiny dataset: the same bytes however the work is divided or interrupted, and what stops
// one.
#include "multigrnformer/train/run.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <limits>
#include <sstream>
#include <utility>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/stop_signal.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "multigrnformer/formats/safetensors.hpp"
#include "multigrnformer/formats/table.hpp"
#include "multigrnformer/train/predict.hpp"
#include "multigrnformer/train/repeat.hpp"
#include "multigrnformer/train/resolved_config.hpp"
#include "multigrnformer/train/sample.hpp"
#include "support/temporary_directory.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;
using test::promised_bytes;
using test::tiny_settings;

class RunTest : public testing::Test {
 protected:
  void SetUp() override { test::write_tiny_inputs(folder_.path()); }

  Settings settings(const std::string& out) const { return tiny_settings(folder_.path(), folder_ / out); }

  // Runs on `ranks` threads as ranks; returns rank 0's result.
  static base::Json run(const Settings& settings, int ranks = 1, const Hooks& hooks = {}) {
    base::Json result;
    comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
      base::Json mine = run_training(settings, communicator, hooks);
      if (communicator.rank() == 0) {
        result = std::move(mine);
      }
    });
    return result;
  }

  template <typename Error>
  static std::string error_of(const Settings& settings, int ranks = 1, const Hooks& hooks = {}) {
    try {
      run(settings, ranks, hooks);
    } catch (const Error& error) {
      return error.what();
    }
    return "no such error";
  }

  std::string reference() const {
    run(settings("reference"));
    return promised_bytes(folder_ / "reference");
  }

  mgrn::test::TemporaryDirectory folder_;
};

TEST_F(RunTest, LeavesWhatTheContractPromises) {
  const base::Json result = run(settings("run"));
  for (const char* name : {"config.ini", "run_info.json", "split.csv", "metrics.jsonl", "model.safetensors",
                           "predictions.csv", "result.json"}) {
    EXPECT_TRUE(fs::exists(folder_ / "run" / name)) << name;
  }
  EXPECT_FALSE(fs::exists(folder_ / "run" / "stopped"));
  for (const char* key :
       {"auroc", "average_precision", "auprc", "auprc_ratio", "random_auprc", "within_tf_auroc",
        "degree_auroc", "degree_average_precision", "n_positive", "n_negative", "seed"}) {
    EXPECT_TRUE(result.contains(key)) << key;
  }
  EXPECT_EQ(base::read_json(folder_ / "run" / "result.json"), result);
  const auto predictions = formats::Table::read(folder_ / "run" / "predictions.csv");
  EXPECT_EQ(predictions.names(), (std::vector<std::string>{"tf", "gene", "label", "score"}));
  const auto split = formats::Table::read(folder_ / "run" / "split.csv");
  std::size_t test_pairs = 0;
  for (const auto& set : split.column("set")) {
    test_pairs += set == "test" ? 1 : 0;
  }
  EXPECT_EQ(predictions.rows(), test_pairs);
  const auto info = base::read_json(folder_ / "run" / "run_info.json");
  EXPECT_EQ(info["sessions"].size(), 1u);
  EXPECT_EQ(info["sessions"][0]["outcome"], "finished");
}

// A batch of four times the reference, with rates of half the size: Adam's update depends on their product
// only.
TEST_F(RunTest, ScaledRatesGiveTheBytesOfRatesGivenSo) {
  Settings scaled = settings("scaled");
  scaled.batch = 128;
  scaled.rate_scaling = RateScaling::square_root;
  scaled.adam.learning_rate = scaled.adam.predictor_learning_rate = 1.0 / 256;
  run(scaled);
  Settings given = scaled;
  given.out = folder_ / "given";
  given.rate_scaling = RateScaling::none;
  given.adam.learning_rate = given.adam.predictor_learning_rate = 1.0 / 128;
  run(given);
  EXPECT_EQ(promised_bytes(folder_ / "scaled"), promised_bytes(folder_ / "given"));
}

TEST_F(RunTest, StoppedWithinWarmUpItGoesOnWhereItWas) {
  const auto warming = [&](const char* out, std::int64_t steps) {
    Settings settings = this->settings(out);
    settings.warmup = steps;
    return settings;
  };
  run(warming("whole", 12));
  EXPECT_NE(error_of<base::Stopped>(warming("parts", 12), 1, {.stop_after_step = 4}), "no such error");
  run(warming("parts", 12), 2);
  EXPECT_EQ(promised_bytes(folder_ / "parts"), promised_bytes(folder_ / "whole"));
  EXPECT_NE(promised_bytes(folder_ / "whole"), reference()) << "without warm-up";
}

TEST_F(RunTest, MoreRanksThanMicroBatchesIsSaidWithTheBatchThatWouldUseThem) {
  testing::internal::CaptureStderr();
  run(settings("run"), 5);  // 32 samples, 8 in a micro-batch
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("4 micro-batches: 1 of 5 ranks have nothing to do; train.batch = 40 would"),
            std::string::npos)
      << log;
  testing::internal::CaptureStderr();
  run(settings("enough"), 4);
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("nothing to do"), std::string::npos);
}

TEST_F(RunTest, ASecondJobInTheFolderIsRefusedAndTheFirstGoesOn) {
  const std::string expected = reference();
  std::string second;
  const auto start_another = [&](std::int64_t step, std::int64_t unit, std::span<float>) {
    if (step == 3 && unit == 0) {
      second = error_of<base::UsageError>(settings("run"));
    }
  };
  run(settings("run"), 1, {.stop_after_step = 0, .tamper = start_another});
  EXPECT_NE(second.find("another job works in this folder"), std::string::npos) << second;
  EXPECT_EQ(promised_bytes(folder_ / "run"), expected);
}

TEST_F(RunTest, MetricsHaveALinePerEpoch) {
  run(settings("run"));
  const auto text = test::metrics_without_speed(folder_ / "run" / "metrics.jsonl");
  std::istringstream lines(text);
  int epoch = 0;
  for (std::string line; std::getline(lines, line); ++epoch) {
    const auto value = base::Json::parse(line);
    EXPECT_EQ(value["epoch"], epoch);
    EXPECT_GT(value["loss"].get<double>(), 0.0);
    EXPECT_GT(value["validation_loss"].get<double>(), 0.0);
    EXPECT_GT(value["gradient_norm"].get<double>(), 0.0);
    EXPECT_EQ(value["skipped_steps"], 0);
    EXPECT_LE(value["live_hidden"].get<double>(), 8.0);
  }
  EXPECT_EQ(epoch, 3);
}

TEST_F(RunTest, TrainingLearns) {
  Settings settings = this->settings("run");
  settings.epochs = 40;
  settings.checkpoint_every = 1000;
  settings.resample = pairs::Resample::once;
  run(settings);
  std::istringstream lines(test::metrics_without_speed(folder_ / "run" / "metrics.jsonl"));
  std::vector<double> losses;
  for (std::string line; std::getline(lines, line);) {
    losses.push_back(base::Json::parse(line)["loss"].get<double>());
  }
  EXPECT_LT(losses.back(), 0.8 * losses.front());
}

TEST_F(RunTest, TheSameBytesOnAnyNumberOfRanksAndThreads) {
  const std::string expected = reference();
  const std::pair<int, int> divisions[] = {{1, 2}, {2, 1}, {3, 1}, {4, 1}, {3, 2}};
  for (const auto& [ranks, threads] : divisions) {
    Settings own = settings("run-" + std::to_string(ranks) + "-" + std::to_string(threads));
    own.threads = threads;
    run(own, ranks);
    EXPECT_EQ(promised_bytes(own.out), expected) << ranks << " ranks, " << threads << " threads";
  }
}

TEST_F(RunTest, FloatSumsDependOnTheNumberOfRanks) {
  // Shows that the comparison above can fail at all.
  for (const int ranks : {1, 3}) {
    Settings own = settings("float-" + std::to_string(ranks));
    own.exact_reduction = false;
    run(own, ranks);
  }
  EXPECT_NE(base::read_file(folder_ / "float-1" / "model.safetensors"),
            base::read_file(folder_ / "float-3" / "model.safetensors"));
}

TEST_F(RunTest, InterruptedAndResumedOnOtherRanksGivesTheSameBytes) {
  const std::string expected = reference();
  const auto steps = base::read_json(folder_ / "reference" / "result.json")["steps"].get<std::int64_t>();
  const std::int64_t in_epoch = steps / 3;
  // In the first epoch, round the end of an epoch, and after the last step.
  for (const std::int64_t stop : {std::int64_t{1}, in_epoch - 1, in_epoch, in_epoch + 1, steps}) {
    Settings own = settings("stopped-" + std::to_string(stop));
    const int first = static_cast<int>(stop % 3) + 1;
    EXPECT_NE(error_of<base::Stopped>(own, first, {.stop_after_step = stop}), "no such error");
    EXPECT_TRUE(fs::exists(own.out / "stopped"));
    EXPECT_FALSE(fs::exists(own.out / "result.json"));
    own.threads = 2;
    run(own, 4 - first);
    EXPECT_FALSE(fs::exists(own.out / "stopped"));
    EXPECT_EQ(promised_bytes(own.out), expected) << "stopped after step " << stop;
  }
}

TEST_F(RunTest, StoppedAgainAndAgainGivesTheSameBytes) {
  const std::string expected = reference();
  Settings own = settings("often");
  own.keep_checkpoints = 1;
  for (std::int64_t stop = 2; stop < 8; stop += 2) {
    error_of<base::Stopped>(own, 2, {.stop_after_step = stop});
  }
  run(own, 3);
  EXPECT_EQ(promised_bytes(own.out), expected);
}

TEST_F(RunTest, GoesOnFromAnOlderCheckpointWhenTheNewestIsDamaged) {
  const std::string expected = reference();
  Settings own = settings("damaged");
  own.checkpoint_every = 2;
  error_of<base::Stopped>(own, 1, {.stop_after_step = 6});
  fs::resize_file(own.out / "checkpoints" / "step-000000006" / "optimizer.safetensors", 64);
  run(own, 2);
  EXPECT_EQ(promised_bytes(own.out), expected);
}

TEST_F(RunTest, ASignalStopsAllRanksWithACheckpoint) {
  const std::string expected = reference();
  base::watch_stop_signals();
  Settings own = settings("signal");
  Hooks hooks;
  hooks.tamper = [](std::int64_t step, std::int64_t unit, std::span<float>) {
    if (step == 3 && unit == 0) {
      std::raise(SIGUSR1);
    }
  };
  try {
    run(own, 2, hooks);
    ADD_FAILURE() << "not stopped";
  } catch (const base::Stopped& error) {
    EXPECT_EQ(error.code(), base::ExitCode::stopped);
  }
  base::clear_stop_signal();
  EXPECT_TRUE(fs::exists(own.out / "checkpoints" / "step-000000004" / "manifest.json"));
  run(own, 1);
  EXPECT_EQ(promised_bytes(own.out), expected);
}

TEST_F(RunTest, AFinishedRunIsNotRepeated) {
  const base::Json first = run(settings("run"));
  const auto written = fs::last_write_time(folder_ / "run" / "model.safetensors");
  EXPECT_EQ(run(settings("run"), 2), first);
  EXPECT_EQ(fs::last_write_time(folder_ / "run" / "model.safetensors"), written);
}

TEST_F(RunTest, AFolderOfOtherSettingsIsRefusedByKey) {
  run(settings("run"));
  Settings other = settings("run");
  other.config_text = with_config_value(other.config_text, "train.epochs", "4");
  EXPECT_NE(error_of<base::UsageError>(other).find("train.epochs"), std::string::npos);
  other = settings("stopped");
  error_of<base::Stopped>(other, 1, {.stop_after_step = 2});
  other.config_text = with_config_value(other.config_text, "pairs.seed", "2");
  EXPECT_NE(error_of<base::UsageError>(other, 2).find("pairs.seed"), std::string::npos);
}

TEST_F(RunTest, RanksWithOtherSettingsAreRefused) {
  EXPECT_THROW(comm::run_ranks(2,
                               [&](comm::Communicator& communicator) {
                                 Settings own = settings("run");
                                 own.micro_batch = communicator.rank() == 0 ? 8 : 4;
                                 run_training(own, communicator);
                               }),
               base::UsageError);
}

TEST_F(RunTest, TheLastEpochIsKeptWhereThereAreFewValidationPairs) {
  Settings own = settings("run");
  own.best_epoch_from = 100000;
  const auto result = run(own);
  EXPECT_EQ(result["chosen_epoch"], 2);
  EXPECT_TRUE(result["best_validation_loss"].is_null());
}

// ---- numbers that are not ----------------------------------------------------------------------------

Hooks at(std::int64_t step, std::int64_t unit, float value) {
  Hooks hooks;
  hooks.tamper = [=](std::int64_t now, std::int64_t here, std::span<float> gradient) {
    if (now == step && here == unit) {
      gradient[5] = value;
    }
  };
  return hooks;
}

TEST_F(RunTest, ANonFiniteGradientSkipsTheStepOnAllRanks) {
  std::string expected;
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const int ranks : {1, 3, 4}) {
      Settings own = settings("bad-" + std::to_string(ranks) + std::to_string(value));
      const auto result = run(own, ranks, at(2, 1, value));
      EXPECT_EQ(result["skipped_steps"], 1);
      const std::string bytes = promised_bytes(own.out);
      EXPECT_EQ(bytes, expected.empty() ? bytes : expected);
      expected = bytes;
    }
  }
  EXPECT_NE(expected, reference());
}

TEST_F(RunTest, TooManyBadStepsInARowEndTheRun) {
  Settings own = settings("run");
  own.stop_after_bad_steps = 3;
  Hooks hooks;
  hooks.tamper = [](std::int64_t step, std::int64_t, std::span<float> gradient) {
    if (step >= 2) {
      gradient[0] = std::numeric_limits<float>::quiet_NaN();
    }
  };
  try {
    run(own, 2, hooks);
    ADD_FAILURE() << "went on";
  } catch (const base::NumericError& error) {
    EXPECT_EQ(error.code(), base::ExitCode::numeric);
    EXPECT_NE(std::string(error.what()).find("step 4"), std::string::npos) << error.what();
  }
}

TEST_F(RunTest, BadStepsWithGoodOnesBetweenDoNotEndTheRun) {
  Settings own = settings("run");
  own.stop_after_bad_steps = 2;
  Hooks hooks;
  hooks.tamper = [](std::int64_t step, std::int64_t, std::span<float> gradient) {
    if (step % 2 == 1) {
      gradient[0] = std::numeric_limits<float>::quiet_NaN();
    }
  };
  EXPECT_GT(run(own, 1, hooks)["skipped_steps"], 2);
}

TEST_F(RunTest, ALargeGradientRepeatsTheStepWithASmallerScale) {
  std::string expected;
  for (const int ranks : {1, 2, 3}) {
    std::atomic<int> calls = 0;
    Hooks hooks;
    hooks.tamper = [&](std::int64_t step, std::int64_t unit, std::span<float> gradient) {
      if (step == 2 && unit == 1) {
        gradient[5] = 3e5f;  // beyond 2^18: the second scale does not do either
        ++calls;
      }
    };
    Settings own = settings("large-" + std::to_string(ranks));
    own.checkpoint_every = 1;
    const auto result = run(own, ranks, hooks);
    EXPECT_EQ(calls, 3);
    EXPECT_EQ(result["skipped_steps"], 0);
    const std::string bytes = promised_bytes(own.out);
    EXPECT_EQ(bytes, expected.empty() ? bytes : expected);
    expected = bytes;
  }
}

TEST_F(RunTest, TheScaleGoesBackUpAfterAHundredCleanSteps) {
  Settings own = settings("run");
  own.epochs = 30;
  const auto state_after = [&](std::int64_t step) {
    error_of<base::Stopped>(own, 1, [&] {
      Hooks hooks = at(2, 0, 5000.0f);
      hooks.stop_after_step = step;
      return hooks;
    }());
    char name[32];
    std::snprintf(name, sizeof name, "step-%09d", static_cast<int>(step));
    return base::read_json(own.out / "checkpoints" / name / "manifest.json")["state"]["scale"];
  };
  EXPECT_EQ(state_after(2), (base::Json{{"level", 0}, {"clean_steps", 0}}));
  EXPECT_EQ(state_after(3), (base::Json{{"level", 1}, {"clean_steps", 1}}));
  EXPECT_EQ(state_after(101), (base::Json{{"level", 1}, {"clean_steps", 99}}));
  EXPECT_EQ(state_after(102), (base::Json{{"level", 0}, {"clean_steps", 0}}));
}

TEST_F(RunTest, AGradientBeyondEveryScaleSkipsTheStep) {
  Settings own = settings("run");
  EXPECT_EQ(run(own, 2, at(2, 1, 1e30f))["skipped_steps"], 1);
}

// ---- settings that cannot work ------------------------------------------------------------------------

TEST_F(RunTest, UsageErrorsNameTheKey) {
  Settings own = settings("run");
  own.device = "gpu";
  EXPECT_NE(error_of<base::UsageError>(own).find("train.device"), std::string::npos);
  own = settings("run");
  own.threads = 0;
  EXPECT_NE(error_of<base::UsageError>(own).find("train.threads"), std::string::npos);
  own = settings("run");
  own.job = Job::finetune;
  EXPECT_NE(error_of<base::UsageError>(own).find("train.init"), std::string::npos);
  own = settings("run");
  own.batch = 8 * 5000;
  EXPECT_NE(error_of<base::UsageError>(own).find("train.batch"), std::string::npos);
  own = settings("run");
  own.networks.push_back(own.networks.front());
  EXPECT_NE(error_of<base::UsageError>(own).find("data.network"), std::string::npos);
}

TEST_F(RunTest, ASplitFileIsUsedAsItIs) {
  run(settings("drawn"));
  Settings own = settings("read");
  own.split_file = folder_ / "drawn" / "split.csv";
  own.split.seed = 77;  // draws nothing any more
  run(own);
  EXPECT_EQ(base::read_file(own.out / "split.csv"), base::read_file(own.split_file));
  EXPECT_EQ(base::read_file(own.out / "predictions.csv"),
            base::read_file(folder_ / "drawn" / "predictions.csv"));
}

TEST_F(RunTest, ASplitWithoutTestPairsIsRefusedBeforeTraining) {
  base::write_file_atomically(folder_ / "split.csv",
                              "tf,gene,label,set\nG100,G110,1,train\nG101,G111,0,train\n");
  Settings own = settings("run");
  own.split_file = folder_ / "split.csv";
  EXPECT_NE(error_of<base::DataError>(own).find("no test pairs"), std::string::npos);
  EXPECT_FALSE(fs::exists(own.out));
}

TEST_F(RunTest, PairsWithoutCellsScoreZeroAndAreCounted) {
  // G135 is expressed in one cell: with many TFs it shares none.
  const auto result = run(settings("run"));
  const auto predictions = formats::Table::read(folder_ / "run" / "predictions.csv");
  std::uint64_t zero = 0;
  for (const double score : predictions.numbers("score")) {
    zero += score == 0 ? 1 : 0;
  }
  EXPECT_EQ(result["n_without_cells"], zero);
}

TEST_F(RunTest, VotesAverageSamples) {
  Settings own = settings("votes");
  own.votes = 3;
  run(own, 2);
  run(settings("one"));
  EXPECT_EQ(base::read_file(own.out / "model.safetensors"),
            base::read_file(folder_ / "one" / "model.safetensors"));
  EXPECT_NE(base::read_file(own.out / "predictions.csv"),
            base::read_file(folder_ / "one" / "predictions.csv"));
}

// ---- repeats, prediction, sample -----------------------------------------------------------------------

TEST_F(RunTest, RepeatsHaveTheirOwnSeedsAndTheFirstEqualsTheSingleRun) {
  Settings own = settings("repeats");
  base::Json summary;
  comm::run_ranks(2, [&](comm::Communicator& communicator) {
    const auto mine = run_repeats(own, 2, communicator);
    if (communicator.rank() == 0) {
      summary = mine;
    }
  });
  run(settings("single"));
  EXPECT_EQ(promised_bytes(own.out / "run-1"), promised_bytes(folder_ / "single"));
  EXPECT_EQ(config_values(base::read_file(own.out / "run-2" / "config.ini")).at("pairs.seed"), "2");
  EXPECT_NE(base::read_file(own.out / "run-1" / "split.csv"),
            base::read_file(own.out / "run-2" / "split.csv"));
  EXPECT_EQ(summary["auroc"]["runs"], 2);
  EXPECT_EQ(summary, base::read_json(own.out / "summary.json"));
}

TEST_F(RunTest, PredictionRanksAllCandidatesTheSameOnAnyRanks) {
  const Settings own = settings("run");
  run(own);
  std::string expected;
  base::Json result;
  for (const int ranks : {1, 3}) {
    const fs::path out = folder_ / ("network-" + std::to_string(ranks));
    comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
      const auto mine = run_prediction(own, {.run = own.out, .votes = 2, .out = out}, communicator);
      if (communicator.rank() == 0) {
        result = mine;
      }
    });
    const std::string bytes =
        base::read_file(out / "rankedEdges.csv") + base::read_file(out / "network.graphml");
    EXPECT_EQ(bytes, expected.empty() ? bytes : expected);
    expected = bytes;
  }
  EXPECT_EQ(result["candidate_pairs"], test::kTinyTfs * (test::kTinyGenes - 1));
  const auto table = formats::Table::read(folder_ / "network-1" / "rankedEdges.csv");
  EXPECT_EQ(table.names(), (std::vector<std::string>{"Gene1", "Gene2", "EdgeWeight"}));
  EXPECT_EQ(table.rows(), result["edges"]);
  EXPECT_GT(result["pairs_without_cells"], 0);
  const auto weights = table.numbers("EdgeWeight");
  EXPECT_TRUE(std::is_sorted(weights.rbegin(), weights.rend()));
}

TEST_F(RunTest, TellsHowWellScoresHoldAsProbabilitiesBeforeAndAfterCalibration) {
  Settings own = settings("run");
  own.split.validation = 0.25;
  const base::Json result = run(own, 2);
  const base::Json& calibration = result["calibration"];
  EXPECT_EQ(calibration["method"], "platt");
  EXPECT_TRUE(calibration.contains("slope"));
  EXPECT_EQ(calibration["positives"].get<int>() + calibration["negatives"].get<int>(),
            result["validation_pairs"].get<int>());
  const base::Json& test = calibration["test"];
  for (const char* what : {"raw", "calibrated", "calibrated_for_prior", "prior_alone"}) {
    EXPECT_GE(test[what]["brier"].get<double>(), 0) << what;
    EXPECT_GE(test[what]["expected_calibration_error"].get<double>(), 0) << what;
  }
  // Pairs without cells have no score that could be calibrated.
  EXPECT_EQ(test["pairs"].get<int>(),
            result["with_cells"]["n_positive"].get<int>() + result["with_cells"]["n_negative"].get<int>());
  // The calibration looks at what is there; it moves neither weights nor scores.
  Settings plain = own;
  plain.out = folder_ / "plain";
  plain.calibration = evaluate::CalibrationMethod::none;
  const base::Json without = run(plain);
  EXPECT_EQ(without["calibration"]["method"], "none");
  EXPECT_EQ(without["calibration"]["test"]["raw"], test["raw"]);
  EXPECT_EQ(without["auroc"], result["auroc"]);
  EXPECT_EQ(base::read_file(own.out / "predictions.csv"), base::read_file(plain.out / "predictions.csv"));
}

TEST_F(RunTest, TooFewValidationPairsLeaveScoresUncalibratedAndSayWhy) {
  const base::Json result = run(settings("run"));
  EXPECT_EQ(result["calibration"]["method"], "none");
  EXPECT_NE(result["calibration"]["reason"].get<std::string>().find("too few validation pairs"),
            std::string::npos);
}

class CutNetwork : public RunTest {
 protected:
  // A run with enough validation pairs, and its network by `request`, on `ranks`.
  base::Json predict(PredictRequest request, int ranks = 1,
                     evaluate::CalibrationMethod method = evaluate::CalibrationMethod::platt) {
    Settings own = settings("run");
    own.split.validation = 0.25;
    if (!fs::exists(own.out / "result.json")) {
      run(own);
    }
    own.calibration = method;
    request.run = own.out;
    request.out = folder_ / "network";
    base::Json result;
    comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
      const auto mine = run_prediction(own, request, communicator);
      if (communicator.rank() == 0) {
        result = mine;
      }
    });
    return result;
  }
  formats::Table table(const char* name) const { return formats::Table::read(folder_ / "network" / name); }
  std::string bytes() const {
    std::string text;
    for (const char* name : {"rankedEdges.csv", "edges.csv", "regulons.csv", "network.graphml"}) {
      text += base::read_file(folder_ / "network" / name);
    }
    return text;
  }
  static std::size_t count(const std::string& text, const std::string& word) {
    std::size_t found = 0;
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
      ++found;
    }
    return found;
  }
};

TEST_F(CutNetwork, HasAsManyEdgesAsAskedForAndRegulonsAddUpToThem) {
  const base::Json result = predict({.votes = 2, .edges = 40});
  EXPECT_EQ(result["cut_off"]["edges"], 40);
  const auto edges = table("edges.csv");
  ASSERT_EQ(edges.rows(), 40u);
  const auto probabilities = edges.numbers("probability");
  EXPECT_TRUE(std::is_sorted(probabilities.rbegin(), probabilities.rend()));
  EXPECT_EQ(edges.numbers("score").back(), result["cut_off"]["score"].get<double>());
  EXPECT_EQ(table("rankedEdges.csv").rows(), result["edges"].get<std::size_t>()) << "all pairs stay listed";
  EXPECT_EQ(count(base::read_file(folder_ / "network" / "network.graphml"), "<edge "), 40u);
  const auto regulons = table("regulons.csv");
  EXPECT_EQ(regulons.rows(), test::kTinyTfs);
  double targets = 0, expected = 0, mean = 0;
  for (const double one : regulons.numbers("targets")) {
    targets += one;
  }
  for (const double one : regulons.numbers("probability_sum")) {
    expected += one;
  }
  for (const double one : probabilities) {
    mean += one / 40;
  }
  EXPECT_EQ(targets, 40);
  EXPECT_NEAR(expected, 40 * mean, 1e-9);
  EXPECT_NEAR(result["cut_off"]["expected_precision"].get<double>(), mean, 1e-9);
}

TEST_F(CutNetwork, IsTheSameOnAnyRanksAndEndsWhereThePrecisionFalls) {
  for (const auto method : {evaluate::CalibrationMethod::platt, evaluate::CalibrationMethod::isotonic}) {
    const base::Json loose = predict({.votes = 2, .precision = 0.1}, 1, method);
    const std::string alone = bytes();
    EXPECT_EQ(predict({.votes = 2, .precision = 0.1}, 3, method), loose);
    EXPECT_EQ(bytes(), alone);
    EXPECT_GE(loose["cut_off"]["expected_precision"].get<double>(), 0.1);
    const base::Json strict = predict({.votes = 2, .precision = 0.45}, 1, method);
    EXPECT_LT(strict["cut_off"]["edges"].get<int>(), loose["cut_off"]["edges"].get<int>());
  }
}

TEST_F(CutNetwork, APairThatTheSplitHasTwiceCountsOnce) {
  const base::Json once = predict({.votes = 1, .edges = 5});
  const fs::path split = folder_ / "run" / "split.csv";
  const std::string text = base::read_file(split);
  std::string repeated = text;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("validation") != std::string::npos) {
      repeated += line + "\n";
    }
  }
  ASSERT_GT(repeated.size(), text.size());
  base::write_file_atomically(split, repeated);
  EXPECT_EQ(predict({.votes = 1, .edges = 5}), once);
}

TEST_F(CutNetwork, WithoutACutOffHasAsManyEdgesAsThePriorExpects) {
  const base::Json result = predict({.votes = 1});
  const double prior = result["prior"].get<double>();
  EXPECT_GT(prior, 0.2);  // a third of the network's pairs are edges
  EXPECT_LT(prior, 0.45);
  EXPECT_EQ(result["cut_off"]["edges"].get<double>(), std::round(prior * result["edges"].get<double>()));
  EXPECT_EQ(count(base::read_file(folder_ / "network" / "network.graphml"), "<edge "),
            result["edges"].get<std::size_t>());
  // The mean probability of all candidates follows the prior.
  const auto mean_for = [&](double given) {
    predict({.votes = 1, .edges = 100000, .prior = given});
    double sum = 0;
    for (const double one : table("edges.csv").numbers("probability")) {
      sum += one;
    }
    return sum / result["edges"].get<double>();
  };
  EXPECT_LT(mean_for(0.01), 0.05);
  EXPECT_GT(mean_for(0.9), 0.7);
}

TEST_F(CutNetwork, RefusesWhatItCannotTell) {
  const auto error_of = [&](const PredictRequest& request, evaluate::CalibrationMethod method) {
    try {
      predict(request, 2, method);
    } catch (const base::UsageError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const auto platt = evaluate::CalibrationMethod::platt;
  EXPECT_NE(error_of({.precision = 0.5, .edges = 3}, platt).find("two cut-offs"), std::string::npos);
  EXPECT_NE(error_of({.precision = 0.5}, evaluate::CalibrationMethod::none).find("from probabilities"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "network"));
  // Without calibration a number of edges still is a cut-off.
  predict({.votes = 1, .edges = 5}, 1, evaluate::CalibrationMethod::none);
  EXPECT_EQ(table("edges.csv").names(), (std::vector<std::string>{"tf", "gene", "score"}));
  EXPECT_EQ(table("edges.csv").rows(), 5u);
  // The default split of so small a network has too few validation pairs.
  run(settings("few"));
  const auto self = comm::make_self_communicator();
  EXPECT_THROW(run_prediction(settings("few"),
                              {.run = folder_ / "few", .precision = 0.5, .out = folder_ / "n"}, *self),
               base::DataError);
  EXPECT_FALSE(fs::exists(folder_ / "n"));
}

TEST_F(RunTest, PredictionNeedsAFinishedRun) {
  Settings own = settings("run");
  error_of<base::Stopped>(own, 1, {.stop_after_step = 2});
  const auto self = comm::make_self_communicator();
  EXPECT_THROW(run_prediction(own, {.run = own.out, .out = folder_ / "n"}, *self), base::DataError);
}

TEST_F(RunTest, PredictionWorksOnAnotherDataset) {
  const Settings own = settings("run");
  run(own);
  test::write_tiny_dataset(folder_ / "B.h5", "00000000000000bb", 9);
  const auto self = comm::make_self_communicator();
  const auto result = run_prediction(
      own, {.run = own.out, .dataset = folder_ / "B.h5", .known_only = true, .out = folder_ / "n"}, *self);
  EXPECT_EQ(result["dataset"], "00000000000000bb");
}

TEST_F(RunTest, ThePoolingReadoutTrainsWithBothEnginesAndPredicts) {
  const Settings own = test::tiny_pool_settings(folder_.path(), folder_ / "pool");
  const base::Json result = run(own, 2);
  Settings reference = own;
  reference.out = folder_ / "reference-engine";
  reference.engine.kind = "reference";
  const base::Json checked = run(reference);
  EXPECT_NEAR(result["best_validation_loss"].get<double>(), checked["best_validation_loss"].get<double>(),
              1e-3);
  const auto weights = formats::read_safetensors(own.out / "model.safetensors");
  EXPECT_EQ(weights.metadata.at("model.readout"), "pool");
  EXPECT_EQ(weights.tensors.at("cells.0.weight").shape,
            (std::vector<std::int64_t>{8, 4 + own.shape.context}));
  const auto self = comm::make_self_communicator();
  const auto network = run_prediction(own, {.run = own.out, .votes = 1, .out = folder_ / "n"}, *self);
  EXPECT_GT(network["edges"].get<int>(), 0);
  // Components of one dataset mean nothing in another.
  test::write_tiny_dataset(folder_ / "B.h5", "00000000000000bb", 9);
  EXPECT_THROW(
      run_prediction(own, {.run = own.out, .dataset = folder_ / "B.h5", .out = folder_ / "m"}, *self),
      base::UsageError);
  Settings pretrain = own;
  pretrain.out = folder_ / "pretrain";
  pretrain.job = Job::pretrain;
  EXPECT_NE(error_of<base::UsageError>(pretrain).find("mean nothing in another"), std::string::npos);
  const SampleTable sample = make_sample(own, {.tf = "G100", .gene = "G110"});
  EXPECT_EQ(sample_csv(sample).substr(0, 64),
            "cell,rna_tf,rp_tf,rna_gene,rp_gene,cell_size,cell_component1,cel");
  EXPECT_EQ(sample.columns.size(), static_cast<std::size_t>(sample.width));
}

TEST_F(RunTest, ASampleIsWhatTheSamplerGives) {
  const Settings own = settings("run");
  const SampleTable table = make_sample(own, {.tf = "g100", .gene = "G110", .epoch = 1});
  ASSERT_EQ(table.barcodes.size(), 16u);
  const std::string text = sample_csv(table);
  EXPECT_EQ(text.substr(0, text.find('\n')), "cell,rna_tf,rp_tf,rna_gene,rp_gene");
  const store::Dataset dataset(own.datasets[0]);
  // Each value stands in the dataset at that cell.
  const auto row = dataset.row(store::Layer::rna, 10);
  for (std::size_t i = 0; i < table.barcodes.size(); ++i) {
    const auto cell = static_cast<std::uint32_t>(std::stoul(table.barcodes[i].substr(4)));
    const auto place = std::find(row.cell.begin(), row.cell.end(), cell);
    ASSERT_NE(place, row.cell.end());
    EXPECT_NEAR(table.values[i * 4 + 2], row.value[static_cast<std::size_t>(place - row.cell.begin())], 1e-3);
  }
  EXPECT_THROW(make_sample(own, {.tf = "nobody", .gene = "G110"}), base::DataError);
  EXPECT_THROW(make_sample(own, {.tf = "G100", .gene = "G110", .epoch = 3}), base::UsageError);
  EXPECT_THROW(make_sample(own, {.tf = "G100", .gene = "G110", .augmentation = 1}), base::UsageError);
}

}  // namespace
}  // namespace mgrn::train
