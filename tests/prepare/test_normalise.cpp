// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "golden_case.hpp"
#include "multigrnformer/prepare/normalise.hpp"
#include "multigrnformer/prepare/variable_genes.hpp"

namespace mgrn::prepare {
namespace {

TEST(NormaliseRna, LogNormalisedZScoresMatchAHandWorkedRow) {
  const std::vector<double> library = {10.0, 20.0, 40.0, 5.0};
  const std::vector<std::uint32_t> cell = {0, 2};
  const std::vector<float> raw = {1.0f, 8.0f};
  std::vector<float> out(2);
  const RowSummary row = normalise_rna_row(RnaNormalisation::lognorm_z, 10.0, library, cell, raw, out);
  const double a = std::log(1001.0);
  const double b = std::log(2001.0);
  const double mean = (a + b) / 4;
  const double variance = (a * a + b * b) / 4 - mean * mean;
  EXPECT_NEAR(row.variance, variance, 1e-12);
  EXPECT_NEAR(out[0], (a - mean) / std::sqrt(variance), 1e-6);
  EXPECT_NEAR(out[1], (b - mean) / std::sqrt(variance), 1e-6);
  EXPECT_NEAR(row.background, -mean / std::sqrt(variance), 1e-6);
}

TEST(NormaliseRna, ZScoresAreClippedOnBothSidesAndNotWithClipZero) {
  std::vector<double> library(1000, 1.0);
  const std::vector<std::uint32_t> cell = {7};
  const std::vector<float> raw = {5.0f};
  std::vector<float> out(1);
  normalise_rna_row(RnaNormalisation::z, 10.0, library, cell, raw, out);
  EXPECT_EQ(out[0], 10.0f);
  normalise_rna_row(RnaNormalisation::z, 0.0, library, cell, raw, out);
  EXPECT_NEAR(out[0], std::sqrt(999.0), 1e-4);  // one of n: z = sqrt(n - 1)
}

TEST(NormaliseRna, AConstantGeneHasZZero) {
  const std::vector<double> library = {1, 1, 1};
  const std::vector<std::uint32_t> cell = {0, 1, 2};
  const std::vector<float> raw = {0.1f, 0.1f, 0.1f};
  std::vector<float> out(3, 9.0f);
  const RowSummary row = normalise_rna_row(RnaNormalisation::z, 10.0, library, cell, raw, out);
  EXPECT_EQ(out, (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(row.background, 0.0f);
  EXPECT_EQ(row.variance, 0.0);
  const RowSummary silent = normalise_rna_row(RnaNormalisation::lognorm_z, 10.0, library, {}, {}, {});
  EXPECT_EQ(silent.background, 0.0f);
}

TEST(NormaliseRna, AlternativesKeepTheirOwnZero) {
  const std::vector<double> library = {4, 4};
  const std::vector<std::uint32_t> cell = {1};
  const std::vector<float> raw = {2.0f};
  std::vector<float> out(1);
  RowSummary row = normalise_rna_row(RnaNormalisation::log10p01, 10.0, library, cell, raw, out);
  EXPECT_NEAR(out[0], std::log10(2.01), 1e-6);
  EXPECT_EQ(row.background, -2.0f);
  row = normalise_rna_row(RnaNormalisation::lognorm, 10.0, library, cell, raw, out);
  EXPECT_NEAR(out[0], std::log(5001.0), 1e-6);
  EXPECT_EQ(row.background, 0.0f);
  row = normalise_rna_row(RnaNormalisation::none, 10.0, library, cell, raw, out);
  EXPECT_EQ(out[0], 2.0f);
  EXPECT_EQ(row.background, 0.0f);
}

TEST(NormaliseRp, RowSumCancelsInZScoresAndAlternativesDoNot) {
  const std::vector<double> rp = {1.0, 3.0};
  std::vector<float> out(2);
  const RowSummary row = normalise_rp_row(RpNormalisation::binary_rowsum_z, 10.0, 4, rp, out);
  const double deviation = std::sqrt((1 + 9) / 4.0 - 1);
  EXPECT_NEAR(out[0], 0.0, 1e-6);
  EXPECT_NEAR(out[1], 2.0 / deviation, 1e-6);
  EXPECT_NEAR(row.background, -1.0 / deviation, 1e-6);
  EXPECT_EQ(normalise_rp_row(RpNormalisation::log1p, 10.0, 4, rp, out).background, 0.0f);
  EXPECT_NEAR(out[1], std::log(4.0), 1e-6);
  normalise_rp_row(RpNormalisation::counts, 10.0, 4, rp, out);
  EXPECT_EQ(out[1], 3.0f);
}

TEST(NormaliseRp, AGeneWithoutPotentialIsZero) {
  EXPECT_EQ(normalise_rp_row(RpNormalisation::binary_rowsum_z, 10.0, 4, {}, {}).background, 0.0f);
}

TEST(Loess, EqualsScikitMisc) {
  const test::NumberTable table = test::read_numbers(test::golden("loess.csv"));
  std::vector<double> x;
  std::vector<double> y;
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    x.push_back(std::stod(table.rows[i]));
    y.push_back(table.value[i][0]);
  }
  const std::vector<double> fitted = loess(x, y, 0.3);
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(fitted[i], table.value[i][1], 1e-10) << i;
  }
}

TEST(Loess, ReproducesAParabolaAndSurvivesDegenerateInputs) {
  std::vector<double> x;
  std::vector<double> y;
  for (int i = 0; i < 40; ++i) {
    x.push_back(0.3 * i);
    y.push_back(2.0 - x.back() + 0.5 * x.back() * x.back());
  }
  const std::vector<double> fitted = loess(x, y, 0.3);
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(fitted[i], y[i], 1e-9);
  }
  EXPECT_TRUE(loess({}, {}, 0.3).empty());
  const std::vector<double> one = {1.0};
  EXPECT_NEAR(loess(one, one, 0.3)[0], 1.0, 1e-12);
  const std::vector<double> same = {2.0, 2.0, 2.0, 2.0};
  const std::vector<double> values = {1.0, 2.0, 3.0, 4.0};
  EXPECT_NEAR(loess(same, values, 0.3)[0], 2.5, 1.6);  // some mean of values; finite
  for (const double value : loess(same, values, 1.0)) {
    EXPECT_NEAR(value, 2.5, 1e-9);
  }
}

TEST(Loess, DoesNotDependOnTheOrderOfItsPoints) {
  std::vector<double> x;
  std::vector<double> y;
  for (int i = 0; i < 60; ++i) {
    x.push_back(std::fmod(i * 0.618034, 1.0));
    y.push_back(std::sin(5 * x.back()));
  }
  const std::vector<double> forward = loess(x, y, 0.3);
  std::reverse(x.begin(), x.end());
  std::reverse(y.begin(), y.end());
  std::vector<double> backward = loess(x, y, 0.3);
  std::reverse(backward.begin(), backward.end());
  EXPECT_EQ(forward, backward);
}

TEST(CountMoments, AreMeanAndSampleVarianceWithZeros) {
  const std::vector<float> counts = {1, 3};
  const CountMoments row = count_moments(counts, 4);
  EXPECT_DOUBLE_EQ(row.mean, 1.0);
  EXPECT_DOUBLE_EQ(row.variance, (0 + 4 + 1 + 1) / 3.0);
}

TEST(StandardisedVariance, CutsLargeDeviationsAtTheRootOfTheCells) {
  const std::vector<float> counts = {100};
  // (100 - 1) / 1 is cut to sqrt(100) = 10; 99 zeros give 1 each.
  EXPECT_DOUBLE_EQ(standardised_variance(counts, 100, 1.0, 1.0), (100.0 + 99.0) / 99.0);
  EXPECT_EQ(standardised_variance(counts, 100, 1.0, 0.0), 0.0);
}

}  // namespace
}  // namespace mgrn::prepare
