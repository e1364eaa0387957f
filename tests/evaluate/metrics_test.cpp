// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/metrics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "support/paths.hpp"

namespace {

using namespace mgrn::evaluate;
using mgrn::base::Json;

const std::string kGolden = mgrn::test::source_path("tests/evaluate/golden/");

// Equal to 12 digits; null stands for "not defined".
void expect_equal(double value, const Json& expected, const std::string& what) {
  if (expected.is_null()) {
    EXPECT_TRUE(std::isnan(value)) << what << " is " << value;
  } else {
    EXPECT_NEAR(value, expected.get<double>(), 1e-12) << what;
  }
}

TEST(Metrics, EqualScikitLearnToTwelveDigits) {
  const Json golden = mgrn::base::read_json(kGolden + "metrics.json");
  for (const Json& test : golden["cases"]) {
    SCOPED_TRACE(test["name"].get<std::string>());
    const auto scores = test["scores"].get<std::vector<double>>();
    const auto labels = test["labels"].get<std::vector<std::uint8_t>>();
    const auto groups = test["groups"].get<std::vector<std::uint32_t>>();
    const Json& expected = test["expected"];
    expect_equal(auroc(scores, labels), expected["auroc"], "AUROC");
    expect_equal(average_precision(scores, labels), expected["average_precision"], "average precision");
    expect_equal(auprc_trapezoid(scores, labels), expected["auprc"], "AUPRC");
    expect_equal(auprc_davis_goadrich(scores, labels), expected["davis_goadrich"], "Davis-Goadrich AUPRC");
    expect_equal(within_group_auroc(scores, labels, groups), expected["within"], "within-group AUROC");
  }
}

TEST(Metrics, EqualScikitLearnOnAMillionPairs) {
  constexpr std::size_t kPairs = 1'000'000;
  std::vector<double> scores(kPairs);
  std::vector<std::uint8_t> labels(kPairs);
  std::vector<std::uint32_t> groups(kPairs);
  std::uint64_t state = 12345;
  std::uint64_t positives = 0;
  for (std::size_t i = 0; i < kPairs; ++i) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    scores[i] = static_cast<double>(state >> 44);
    labels[i] = (state >> 20) % 1000 < 3 + (state >> 61) ? 1 : 0;
    groups[i] = static_cast<std::uint32_t>((state >> 5) % 97);
    positives += labels[i];
  }
  const Json expected = mgrn::base::read_json(kGolden + "metrics.json")["million"];
  ASSERT_EQ(positives, expected["positives"].get<std::uint64_t>());
  expect_equal(auroc(scores, labels), expected["auroc"], "AUROC");
  expect_equal(average_precision(scores, labels), expected["average_precision"], "average precision");
  expect_equal(auprc_trapezoid(scores, labels), expected["auprc"], "AUPRC");
  expect_equal(within_group_auroc(scores, labels, groups), expected["within"], "within-group AUROC");
}

TEST(Metrics, DoNotDependOnTheOrderOfPairs) {
  std::vector<double> scores;
  std::vector<std::uint8_t> labels;
  for (int i = 0; i < 500; ++i) {
    scores.push_back(static_cast<double>((i * 37) % 50));
    labels.push_back((i * 11) % 7 == 0 ? 1 : 0);
  }
  const std::vector<double> backwards(scores.rbegin(), scores.rend());
  const std::vector<std::uint8_t> labels_backwards(labels.rbegin(), labels.rend());
  EXPECT_EQ(auroc(scores, labels), auroc(backwards, labels_backwards));
  EXPECT_EQ(average_precision(scores, labels), average_precision(backwards, labels_backwards));
  EXPECT_EQ(auprc_trapezoid(scores, labels), auprc_trapezoid(backwards, labels_backwards));
}

TEST(Metrics, CountPairsBeyondSixtyFourBits) {
  // 2 x 3e9 x 9e9 overflows 64 bits; half of the negatives stand below the positives.
  const Ranking ranking = {{.score = 2, .negatives = 4'500'000'000},
                           {.score = 1, .positives = 3'000'000'000},
                           {.score = 0, .negatives = 4'500'000'000}};
  EXPECT_EQ(auroc(ranking), 0.5);
}

TEST(Metrics, TreatNegativeZeroAsZero) {
  const std::vector<double> scores = {-0.0, 0.0};
  const std::vector<std::uint8_t> labels = {1, 0};
  EXPECT_EQ(auroc(scores, labels), 0.5);
}

TEST(Metrics, EarlyPrecisionKeepsTiesAtTheCut) {
  const std::vector<double> scores = {5, 4, 4, 4, 1};
  const std::vector<std::uint8_t> labels = {1, 1, 0, 0, 0};
  EXPECT_DOUBLE_EQ(early_precision(rank_scores(scores, labels)), 0.5);
  EXPECT_DOUBLE_EQ(early_precision(rank_scores(scores, labels), 1), 1.0);
}

TEST(Metrics, RefuseScoresThatAreNotNumbersAndListsThatDoNotFit) {
  const std::vector<double> scores = {0.5, std::nan("")};
  const std::vector<double> one_score = {0.5};
  const std::vector<std::uint8_t> labels = {1, 0};
  const std::vector<std::uint8_t> wrong = {2, 0};
  EXPECT_THROW(auroc(scores, labels), mgrn::base::NumericError);
  EXPECT_THROW(auroc(one_score, labels), mgrn::base::InternalError);
  EXPECT_THROW(auroc(std::vector<double>{1, 2}, wrong), mgrn::base::InternalError);
  EXPECT_THROW(within_group_auroc(std::vector<double>{1, 2}, labels, std::vector<std::uint32_t>{1}),
               mgrn::base::InternalError);
}

TEST(Metrics, OfNoPairsAreUndefined) {
  const std::vector<double> none;
  const std::vector<std::uint8_t> no_labels;
  EXPECT_TRUE(std::isnan(auroc(none, no_labels)));
  EXPECT_TRUE(std::isnan(average_precision(none, no_labels)));
  EXPECT_TRUE(std::isnan(early_precision(rank_scores(none, no_labels))));
}

}  // namespace
