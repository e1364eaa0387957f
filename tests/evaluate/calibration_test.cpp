// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/calibration.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/philox.hpp"
#include "support/paths.hpp"

namespace mgrn::evaluate {
namespace {

struct Pairs {
  std::vector<double> scores;
  std::vector<std::uint8_t> labels;
};

double logistic(double logit) {
  return 1 / (1 + std::exp(-logit));
}

// Log-odds of a score are N(+1, 1) for edges, N(-1, 1) for others, so log p(edge | score) is known: their
// likelihood ratio's logarithm is 2 * log-odds. `sharpness` is how much the scores exaggerate.
Pairs gaussian_pairs(std::size_t count, double share, double sharpness, std::uint64_t key) {
  base::PhiloxStream random(key, 0);
  Pairs pairs;
  for (std::size_t i = 0; i < count; ++i) {
    const bool edge = random.uniform() < share;
    pairs.labels.push_back(edge ? 1 : 0);
    pairs.scores.push_back(logistic(sharpness * (random.normal() + (edge ? 1 : -1))));
  }
  return pairs;
}

TEST(Calibration, GivesScikitLearnsProbabilities) {
  const base::Json golden =
      base::read_json(mgrn::test::source_path("tests/evaluate/golden/calibration.json"));
  ASSERT_GE(golden["cases"].size(), 4u);
  for (const base::Json& one : golden["cases"]) {
    SCOPED_TRACE(one["name"].get<std::string>());
    const auto scores = one["scores"].get<std::vector<double>>();
    const auto labels = one["labels"].get<std::vector<std::uint8_t>>();
    const auto asked = one["asked"].get<std::vector<double>>();
    const auto platt = Calibration::fit(CalibrationMethod::platt, scores, labels);
    const auto isotonic = Calibration::fit(CalibrationMethod::isotonic, scores, labels);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      // scikit-learn's minimiser stops at a gradient of 1e-6 or so.
      ASSERT_NEAR(platt.probability(asked[i]), one["platt"][i].get<double>(), 2e-5) << asked[i];
      ASSERT_NEAR(isotonic.probability(asked[i]), one["isotonic"][i].get<double>(), 1e-12) << asked[i];
    }
    EXPECT_NEAR(brier_score(scores, labels), one["brier"].get<double>(), 1e-12);
    EXPECT_NEAR(expected_calibration_error(scores, labels), one["expected_calibration_error"].get<double>(),
                1e-12);
  }
}

// The smoothed targets move by 1 / n, the fit with them.
TEST(Calibration, PlattsMapTendsToUnpenalisedLogisticRegression) {
  const base::Json golden =
      base::read_json(mgrn::test::source_path("tests/evaluate/golden/calibration.json"));
  for (const base::Json& one : golden["cases"]) {
    const auto scores = one["scores"].get<std::vector<double>>();
    const auto labels = one["labels"].get<std::vector<std::uint8_t>>();
    const auto platt = Calibration::fit(CalibrationMethod::platt, scores, labels);
    const auto asked = one["asked"].get<std::vector<double>>();
    for (std::size_t i = 0; i < asked.size(); ++i) {
      ASSERT_NEAR(platt.probability(asked[i]), one["logistic"][i].get<double>(), 0.05);
    }
  }
}

TEST(Calibration, RecoversAKnownPosteriorAndCarriesItToAnotherPrior) {
  const Pairs balanced = gaussian_pairs(40'000, 0.5, 3, 1);
  const Pairs rare = gaussian_pairs(40'000, 0.04, 3, 2);
  for (const auto method : {CalibrationMethod::platt, CalibrationMethod::isotonic}) {
    SCOPED_TRACE(name_of(method));
    const auto calibration = Calibration::fit(method, balanced.scores, balanced.labels);
    for (const double log_odds : {-1.0, -0.3, 0.2, 0.9}) {
      const double score = logistic(3 * log_odds);
      EXPECT_NEAR(calibration.probability(score), logistic(2 * log_odds), 0.04);
      EXPECT_NEAR(calibration.probability(score, 0.04),
                  logistic(2 * log_odds + std::log(0.04 / 0.96) - std::log(0.5 / 0.5)), 0.02);
    }
    const base::Json report = calibration_report(calibration, rare.scores, rare.labels);
    EXPECT_NEAR(report["prior"].get<double>(), 0.04, 0.005);
    const auto error_of = [&](const char* what) {
      return report[what]["expected_calibration_error"].get<double>();
    };
    // Exaggerated scores, balanced probabilities and those for the prior: 0.19, 0.12 and near 0.
    EXPECT_LT(error_of("calibrated_for_prior"), 0.01);
    EXPECT_GT(error_of("calibrated"), 0.1);
    EXPECT_GT(error_of("raw"), 0.1);
    EXPECT_LT(report["calibrated_for_prior"]["brier"].get<double>(),
              report["prior_alone"]["brier"].get<double>());
  }
}

TEST(Calibration, NeverTurnsTheRankingRound) {
  Pairs reversed = gaussian_pairs(500, 0.5, 1, 3);
  for (auto& label : reversed.labels) {
    label = 1 - label;
  }
  for (const auto method : {CalibrationMethod::platt, CalibrationMethod::isotonic}) {
    const auto calibration = Calibration::fit(method, reversed.scores, reversed.labels);
    double last = 0;
    for (double score = 0; score <= 1; score += 0.01) {
      EXPECT_GE(calibration.probability(score), last);
      last = calibration.probability(score);
    }
  }
  const auto platt = Calibration::fit(CalibrationMethod::platt, reversed.scores, reversed.labels);
  EXPECT_EQ(platt.slope(), 0);
  EXPECT_NEAR(platt.probability(0.9), platt.prior(), 1e-12);
}

TEST(Calibration, StaysFiniteForSeparatedConstantAndSaturatedScores) {
  const std::size_t each = kLeastCalibrationPairs;
  for (const auto& [low, high] : {std::pair{0.1, 0.9}, {0.5, 0.5}, {0.0, 1.0}}) {
    Pairs pairs;
    for (std::size_t i = 0; i < 2 * each; ++i) {
      pairs.labels.push_back(i < each ? 1 : 0);
      pairs.scores.push_back(i < each ? high : low);
    }
    const auto platt = Calibration::fit(CalibrationMethod::platt, pairs.scores, pairs.labels);
    const auto isotonic = Calibration::fit(CalibrationMethod::isotonic, pairs.scores, pairs.labels);
    for (const double score : {0.0, 0.3, 0.5, 1.0}) {
      for (const double prior : {0.001, 0.5}) {
        EXPECT_TRUE(std::isfinite(platt.probability(score, prior)));
        EXPECT_TRUE(std::isfinite(isotonic.probability(score, prior)));
      }
    }
    // Platt's targets: (n + 1) / (n + 2), or the share of positives where scores tell nothing.
    EXPECT_NEAR(platt.probability(high), low == high ? 0.5 : 11.0 / 12, 1e-6);
  }
}

TEST(Calibration, RefusesTooFewPairsOfALabelAndNoneLeavesScoresAsTheyAre) {
  const Pairs few{std::vector<double>(30, 0.5), [] {
                    std::vector<std::uint8_t> labels(30, 0);
                    std::fill_n(labels.begin(), 9, std::uint8_t{1});
                    return labels;
                  }()};
  EXPECT_THROW(Calibration::fit(CalibrationMethod::platt, few.scores, few.labels), base::DataError);
  EXPECT_THROW(Calibration::fit(CalibrationMethod::isotonic, few.scores, few.labels), base::DataError);
  const auto none = Calibration::fit(CalibrationMethod::none, few.scores, few.labels);
  EXPECT_EQ(none.probability(0.3), 0.3);
  EXPECT_EQ(none.probability(0.3, 0.01), 0.3);
  const base::Json report = calibration_report(none, few.scores, few.labels);
  EXPECT_FALSE(report.contains("calibrated"));
  EXPECT_TRUE(report.contains("raw"));
}

}  // namespace
}  // namespace mgrn::evaluate
