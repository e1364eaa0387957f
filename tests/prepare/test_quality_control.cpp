// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/prepare/quality_control.hpp"

namespace mgrn::prepare {
namespace {

CellStatistics cell(double rna, double atac = 100.0, double mito = 0.0) {
  return {.rna_counts = rna,
          .mito_counts = mito,
          .atac_counts = atac,
          .blacklist_counts = 0.0,
          .genes = 50,
          .peaks = 50};
}

TEST(Median, IsTheMiddleOrTheMeanOfTheTwoMiddleValues) {
  EXPECT_EQ(median({3, 1, 2}), 2.0);
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(median({}), 0.0);
}

TEST(LeastValues, IsTheShareRoundedUpWithoutRoundingNoise) {
  for (std::uint64_t thousands = 1; thousands < 200; ++thousands) {
    EXPECT_EQ(least_values(1000 * thousands, 0.001), static_cast<std::int64_t>(thousands));
  }
  EXPECT_EQ(least_values(10309, 0.001), 11);  // 10 of 10,309 cells are less than 0.1 %
  EXPECT_EQ(least_values(500, 0.0), 0);
}

TEST(FrequentFeatures, DropsThoseBelowTheShare) {
  const std::vector<std::int64_t> counts = {0, 9, 10, 11};
  EXPECT_EQ(frequent_features(counts, 1000, 0.01), (std::vector<std::uint8_t>{0, 0, 1, 1}));
}

TEST(JudgeCells, MadRuleDropsOnBothSidesOfTheLogarithms) {
  // log10: 1 2 2 3 3 3 4 4 8 -> median 3, MAD 1.4826 * 1: limits -1.4478 to 7.4478.
  std::vector<CellStatistics> cells;
  for (const double power : {1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 4.0, 8.0}) {
    cells.push_back(cell(std::pow(10.0, power)));
  }
  const CellQuality quality = judge_cells(cells, 100, 0, false, {});
  EXPECT_EQ(quality.keep, (std::vector<std::uint8_t>{1, 1, 1, 1, 1, 1, 1, 1, 0}));
  EXPECT_EQ(quality.by_rule, 1u);
  EXPECT_EQ(quality.kept, 8u);
  ASSERT_EQ(quality.limits.size(), 2u);
  EXPECT_DOUBLE_EQ(quality.limits[0].median, 3.0);
  EXPECT_DOUBLE_EQ(quality.limits[0].mad, 1.4826);
  EXPECT_DOUBLE_EQ(quality.limits[0].high, 3.0 + 3 * 1.4826);
  EXPECT_EQ(quality.limits[0].above, 1u);
  EXPECT_EQ(quality.limits[0].below, 0u);
}

TEST(JudgeCells, MadLinearRuleUsesUnloggedCounts) {
  // median 30, distances 20 10 0 10 20 970 -> median of 0 10 10 20 20 970 = 15, limits 30 +- 66.7
  std::vector<CellStatistics> cells;
  for (const double count : {10.0, 20.0, 30.0, 40.0, 50.0, 1000.0, 30.0}) {
    cells.push_back(cell(count));
  }
  Settings settings;
  settings.qc = QcRule::mad_linear;
  const CellQuality quality = judge_cells(cells, 100, 0, false, settings);
  EXPECT_EQ(quality.keep, (std::vector<std::uint8_t>{1, 1, 1, 1, 1, 0, 1}));
}

TEST(JudgeCells, AMeasureWithoutSpreadIsLeftOutAndSaysSo) {
  std::vector<CellStatistics> cells(5, cell(100));
  cells[4].mito_counts = 50;
  const CellQuality quality = judge_cells(cells, 100, 100, false, {});
  EXPECT_EQ(quality.kept, 5u);
  for (const Limit& limit : quality.limits) {
    EXPECT_FALSE(limit.applied) << limit.measure;
  }
}

TEST(JudgeCells, MitochondrialShareIsJudgedUnlogged) {
  std::vector<CellStatistics> cells;
  for (const double mito : {1.0, 2.0, 3.0, 2.0, 1.0, 3.0, 60.0}) {
    cells.push_back(cell(100, 100, mito));
  }
  const CellQuality quality = judge_cells(cells, 100, 100, false, {});
  EXPECT_EQ(quality.keep.back(), 0);
  EXPECT_EQ(quality.kept, 6u);
}

TEST(JudgeCells, CellsWithTooFewValuesGoBeforeTheRuleSeesThem) {
  std::vector<CellStatistics> cells = {cell(100), cell(110), cell(90), cell(1)};
  cells[3].genes = 9;
  cells[2].peaks = 0;
  Settings settings;
  settings.min_cell_share = 0.1;
  const CellQuality quality = judge_cells(cells, 100, 50, false, settings);
  EXPECT_EQ(quality.few_genes, 1u);
  EXPECT_EQ(quality.few_peaks, 1u);
  EXPECT_EQ(quality.few_values, 2u);
  EXPECT_DOUBLE_EQ(quality.limits[0].median, (std::log10(100.0) + std::log10(110.0)) / 2);
}

TEST(JudgeCells, ACellWithoutAnyValueNeverStays) {
  std::vector<CellStatistics> cells = {cell(100), cell(0)};
  cells[1].genes = 0;
  Settings settings;
  settings.min_cell_share = 0.0;
  settings.qc = QcRule::none;
  EXPECT_EQ(judge_cells(cells, 100, 0, false, settings).keep, (std::vector<std::uint8_t>{1, 0}));
}

TEST(JudgeCells, BoundsAreInclusive) {
  Settings settings;
  settings.qc = QcRule::bounds;
  settings.bounds = {
      .min_rna_counts = 10, .max_rna_counts = 20, .min_genes = 50, .max_genes = 50, .max_mito = 0.5};
  std::vector<CellStatistics> cells = {cell(9),  cell(10),         cell(20),
                                       cell(21), cell(10, 100, 5), cell(10, 100, 6)};
  EXPECT_EQ(judge_cells(cells, 100, 100, false, settings).keep,
            (std::vector<std::uint8_t>{0, 1, 1, 0, 1, 0}));
}

TEST(JudgeCells, BlacklistShareCountsOnlyWithABlacklist) {
  std::vector<CellStatistics> cells = {cell(100), cell(100), cell(100)};
  cells[1].blacklist_counts = 5;  // exactly the limit
  cells[2].blacklist_counts = 6;
  EXPECT_EQ(judge_cells(cells, 100, 100, true, {}).keep, (std::vector<std::uint8_t>{1, 1, 0}));
  EXPECT_EQ(judge_cells(cells, 100, 100, false, {}).kept, 3u);
}

TEST(Mitochondrial, PrefixesMatchInAnyCase) {
  EXPECT_TRUE(is_mitochondrial("mt-Nd1", {"MT-"}));
  EXPECT_TRUE(is_mitochondrial("MT-ND1", {"mt-"}));
  EXPECT_FALSE(is_mitochondrial("MTOR", {"MT-"}));
  EXPECT_FALSE(is_mitochondrial("Mtor", {""}));
}

template <typename Value>
void expect_words(const Words<Value>& words, const std::vector<std::string>& expected) {
  std::vector<std::string> written;
  for (const auto& [word, value] : words) {
    EXPECT_EQ(to_text(value), word);
    written.push_back(word);
  }
  EXPECT_EQ(written, expected);
}

// Dataset files and config files hold these words.
TEST(Settings, EveryValueHasItsWord) {
  expect_words(qc_rules(), {"mad", "mad-linear", "bounds", "none"});
  expect_words(rna_normalisations(), {"lognorm+z", "lognorm", "log10p01", "z", "none"});
  expect_words(rp_normalisations(), {"binary+rowsum+z", "counts", "log1p"});
}

TEST(Settings, ContradictionsAreUsageErrors) {
  Settings settings;
  settings.rna = "a.h5";
  settings.out = "b.h5";
  EXPECT_NO_THROW(validate(settings));
  settings.atac = "c.h5";
  EXPECT_THROW(validate(settings), base::UsageError);  // no annotation
  settings.annotation = "d.gtf";
  EXPECT_NO_THROW(validate(settings));
  settings.mads = 0;
  EXPECT_THROW(validate(settings), base::UsageError);
  settings.mads = 3;
  settings.bounds.min_genes = 10;
  settings.bounds.max_genes = 5;
  EXPECT_THROW(validate(settings), base::UsageError);
}

TEST(Settings, PathsAndBlocksDoNotEnterTheRecordThatTheIdIsMadeOf) {
  Settings one;
  Settings other;
  other.rna = "elsewhere.h5";
  other.block_genes = 7;
  other.bounds.max_mito = 0.1;  // not in force
  EXPECT_EQ(settings_json(one), settings_json(other));
  other.clip = 5;
  EXPECT_NE(settings_json(one), settings_json(other));
}

}  // namespace
}  // namespace mgrn::prepare
