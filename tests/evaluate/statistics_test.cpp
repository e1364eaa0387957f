// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <limits>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::evaluate {
namespace {

using Values = std::vector<double>;

TEST(Statistics, MeanDeviationAndMedianOfFewValues) {
  EXPECT_TRUE(std::isnan(mean(Values{})));
  EXPECT_TRUE(std::isnan(median(Values{})));
  EXPECT_TRUE(std::isnan(standard_deviation(Values{0.5})));
  EXPECT_DOUBLE_EQ(mean(Values{1, 2, 6}), 3.0);
  EXPECT_DOUBLE_EQ(standard_deviation(Values{1, 2, 6}), std::sqrt(7.0));
  EXPECT_DOUBLE_EQ(median(Values{6, 1, 2}), 2.0);
  EXPECT_DOUBLE_EQ(median(Values{6, 1, 2, 4}), 3.0);
}

TEST(Statistics, SignedRankCountsWinsTiesAndLosses) {
  const SignedRank result = signed_rank(Values{0.3, 0.0, -0.1, 0.2, 0.0, 0.4});
  EXPECT_EQ(result.wins, 3U);
  EXPECT_EQ(result.ties, 2U);
  EXPECT_EQ(result.losses, 1U);
  EXPECT_EQ(result.pairs, 4U);
  EXPECT_EQ(result.rank_sum_plus, 9.0);
  EXPECT_EQ(result.rank_sum_minus, 1.0);
  EXPECT_DOUBLE_EQ(result.rank_biserial, 0.8);
  EXPECT_DOUBLE_EQ(result.median_difference, 0.1);
  EXPECT_DOUBLE_EQ(result.p_value, 4.0 / 16.0) << "sums 0 and 1, on either side";
}

TEST(Statistics, SignedRankOfNothingSaysNothing) {
  EXPECT_EQ(signed_rank(Values{}).p_value, 1.0);
  EXPECT_TRUE(std::isnan(signed_rank(Values{}).median_difference));
  EXPECT_EQ(signed_rank(Values{0.0, 0.0}).p_value, 1.0);
  EXPECT_EQ(signed_rank(Values{0.0, 0.0}).rank_biserial, 0.0);
  EXPECT_EQ(signed_rank(Values{0.25}).p_value, 1.0) << "one setting proves nothing";
  EXPECT_EQ(signed_rank(Values{0.25}).rank_biserial, 1.0);
  EXPECT_EQ(signed_rank(Values{1, 2, 3, 4, 5}).p_value, 2.0 / 32.0)
      << "the least there is with five settings";
}

TEST(Statistics, FewRunsGiveNoInterval) {
  EXPECT_FALSE(t_interval(Values{}).has_value());
  EXPECT_FALSE(corrected_resampled_t(Values{0.6}, 0.25).has_value());
  const auto same = corrected_resampled_t(Values{0.5, 0.5, 0.5}, 0.25, 0.5);
  EXPECT_EQ(same->interval.low, 0.5);
  EXPECT_EQ(same->p_value, 1.0);
  EXPECT_EQ(corrected_resampled_t(Values{0.5, 0.5, 0.5}, 0.25)->p_value, 0.0);
}

TEST(Statistics, CorrectionWidensTheInterval) {
  const Values runs = {0.61, 0.58, 0.63, 0.60, 0.59};
  const auto independent = t_interval(runs);
  const auto corrected = corrected_resampled_t(runs, 0.25);
  EXPECT_DOUBLE_EQ(
      (corrected->interval.high - corrected->interval.low) / (independent->high - independent->low),
      std::sqrt((0.2 + 0.25) / 0.2));
  EXPECT_THROW(corrected_resampled_t(runs, -0.1), base::InternalError);
  EXPECT_THROW(signed_rank(Values{std::numeric_limits<double>::quiet_NaN()}), base::InternalError);
}

TEST(Statistics, AgreeWithSciPy) {
  const std::string python = MGRN_TEST_PYTHON;
  if (python.empty()) {
    GTEST_SKIP() << "no Python with numpy, scipy and h5py (-DMGRN_TEST_PYTHON=...)";
  }
  // Ties and zeros, all on one side, many, and more than the exact test takes. Multiples of 1/64 keep ties
  // ties on both sides.
  std::vector<Values> samples = {{0.25, -0.125, 0.5, 0.375, -0.0625, 0.75},
                                 {0.25, -0.25, 0.25, 0.5, 0.0, 0.5, -0.125, 0.0},
                                 {1, 1, 1, 1},
                                 {-3, -1, -2, -4, -5, -6, -7}};
  for (const int count : {24, 50, 51, 90}) {
    Values many;
    for (int i = 0; i < count; ++i) {
      const int mixed = (i * 37 + 11) % 101;
      many.push_back((mixed - 38 + (count <= 50 ? 0.01 * i : 0.0)) / 64.0);
    }
    samples.push_back(many);
  }
  const test::TemporaryDirectory folder;
  std::ofstream input(folder / "in.txt");
  input << std::setprecision(17);
  // The two tests must not see the same spread twice.
  const auto shifted = [](const Values& sample) {
    Values values = sample;
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] += 0.001 * static_cast<double>(i);
    }
    return values;
  };
  for (const auto& sample : samples) {
    input << "signed-rank";
    for (const double value : sample) {
      input << ' ' << value;
    }
    input << "\nresampled 0.25";
    for (const double value : shifted(sample)) {
      input << ' ' << value;
    }
    input << '\n';
  }
  input.close();
  const std::string command = "'" + python + "' '" +
                              test::source_path("tests/evaluate/statistics_with_scipy.py") + "' < '" +
                              (folder / "in.txt").string() + "' > '" + (folder / "out.txt").string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::ifstream output(folder / "out.txt");
  for (const auto& sample : samples) {
    double plus = 0.0, minus = 0.0, p = 0.0, low = 0.0, high = 0.0, p_of_t = 0.0;
    ASSERT_TRUE(output >> plus >> minus >> p >> low >> high >> p_of_t);
    const SignedRank ours = signed_rank(sample);
    EXPECT_EQ(ours.rank_sum_plus, plus);
    EXPECT_EQ(ours.rank_sum_minus, minus);
    EXPECT_NEAR(ours.p_value, p, 1e-9 * p) << sample.size();
    EXPECT_EQ(ours.exact, ours.pairs <= 50);
    const auto t = corrected_resampled_t(shifted(sample), 0.25);
    EXPECT_NEAR(t->interval.low, low, 1e-12);
    EXPECT_NEAR(t->interval.high, high, 1e-12);
    EXPECT_NEAR(t->p_value, p_of_t, 1e-9 * p_of_t);
  }
}

}  // namespace
}  // namespace mgrn::evaluate
