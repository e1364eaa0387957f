// SPDX-License-Identifier: Apache-2.0
// Boosted trees against scikit-learn's HistGradientBoostingClassifier on the same samples.
#include "multigrnformer/baselines/boosted_classifier.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "support/paths.hpp"

namespace {

using mgrn::base::Json;
using mgrn::baselines::BoostedClassifier;
using mgrn::baselines::BoostingOptions;

TEST(BoostedClassifier, EqualsScikitLearnOnSeenAndUnseenSamples) {
  const Json golden = mgrn::base::read_json(mgrn::test::source_path("tests/baselines/golden/boosting.json"));
  ASSERT_EQ(golden.size(), 3u);
  for (const Json& test : golden) {
    SCOPED_TRACE(test["name"].get<std::string>());
    auto features = test["features"].get<std::vector<double>>();
    const auto unseen = test["unseen"].get<std::vector<double>>();
    const auto columns = test["columns"].get<std::size_t>();
    const BoostedClassifier model(features, test["labels"].get<std::vector<std::uint8_t>>(), columns,
                                  {.rounds = test["rounds"].get<int>()});
    features.insert(features.end(), unseen.begin(), unseen.end());
    const auto expected = test["log_odds"].get<std::vector<double>>();
    ASSERT_EQ(expected.size() * columns, features.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto row = std::span<const double>(features).subspan(i * columns, columns);
      EXPECT_NEAR(model.log_odds(row), expected[i], 1e-6) << "sample " << i;
      EXPECT_NEAR(model.probability(row), 1 / (1 + std::exp(-expected[i])), 1e-6);
    }
  }
}

TEST(BoostedClassifier, LearnsWhatOneThresholdSays) {
  std::vector<double> features;
  std::vector<std::uint8_t> labels;
  for (int i = 0; i < 100; ++i) {
    features.push_back(i);
    labels.push_back(i >= 40 ? 1 : 0);
  }
  const BoostedClassifier model(features, labels, 1);
  EXPECT_EQ(model.trees(), 100u);
  EXPECT_LT(model.probability(std::vector<double>{39}), 0.01);
  EXPECT_GT(model.probability(std::vector<double>{40}), 0.99);
}

TEST(BoostedClassifier, RefusesOneClassAndFeaturesThatAreNotFinite) {
  const std::vector<double> features = {1, 2, 3};
  const std::vector<std::uint8_t> ones = {1, 1, 1};
  EXPECT_THROW(BoostedClassifier(features, ones, 1), mgrn::base::DataError);
  const std::vector<double> broken = {1, std::numeric_limits<double>::infinity(), 3};
  const std::vector<std::uint8_t> both = {1, 0, 1};
  EXPECT_THROW(BoostedClassifier(broken, both, 1), mgrn::base::NumericError);
  EXPECT_THROW(BoostedClassifier(features, both, 2), mgrn::base::InternalError);
}

}  // namespace
