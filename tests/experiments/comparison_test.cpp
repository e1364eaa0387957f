// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/comparison.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "experiments/made_results.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::experiments {
namespace {

using mgrn::test::TemporaryDirectory;
using test::MadeGrid;
using test::MadeRun;

std::vector<Comparison> of_auroc(const MadeGrid& grid, const std::filesystem::path& out, Axis axis) {
  auto all = compare_groups(group_runs(finished_runs(grid.plan, out)));
  std::erase_if(all, [&](const Comparison& one) {
    return one.axis != axis || one.metric != &compared_metrics().front();
  });
  return all;
}

TEST(Comparisons, StandOnMeansOfRunsThatBothSidesHave) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  for (const std::uint64_t run : {1, 2, 3}) {
    grid.add({.run = run, .auroc = 0.50 + 0.01 * static_cast<double>(run)});
  }
  grid.add({.strategy = "augment", .run = 3, .auroc = 0.60});
  grid.add({.strategy = "augment", .run = 1, .auroc = 0.55});
  const auto found = of_auroc(grid, folder.path(), Axis::strategy);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].first, "standard");
  EXPECT_EQ(found[0].second, "augment");
  EXPECT_EQ(found[0].where, "multigrnformer");
  ASSERT_EQ(found[0].settings.size(), 1U);
  EXPECT_EQ(found[0].settings[0].runs, 2U) << "run 2 has no partner";
  EXPECT_NEAR(found[0].settings[0].first, 0.52, 1e-12);
  EXPECT_NEAR(found[0].settings[0].difference, (0.04 + 0.07) / 2, 1e-12);
  // 10 test positives to 40 for training; 12.706 is Student's t for one degree of freedom.
  const double half = 12.7062047 * std::sqrt(0.5 + 0.25) * 0.03 / std::sqrt(2.0);
  EXPECT_NEAR(found[0].settings[0].resampled->interval.high, 0.055 + half, 1e-6);
  EXPECT_FALSE(found[0].interval.has_value()) << "one setting";
  EXPECT_EQ(found[0].signed_rank.p_value, 1.0);
}

TEST(Comparisons, AreMadeOverSettingsAndNeverAcrossProtocols) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  const double gains[] = {0.03, 0.01, 0.02, 0.05, 0.04, -0.06};
  for (int i = 0; i < 6; ++i) {
    const std::string setting = "s" + std::to_string(i);
    grid.add({.setting = setting, .auroc = 0.5});
    grid.add({.setting = setting, .method = "cnnc", .auroc = 0.5 + gains[i]});
    const Keys matched = {{"pairs.negatives", "degree-matched"}};
    grid.add({.setting = setting + "-matched", .auroc = 0.5, .keys = matched});
    grid.add({.setting = setting + "-matched", .method = "cnnc", .auroc = 0.6, .keys = matched});
  }
  const auto found = of_auroc(grid, folder.path(), Axis::method);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].protocol.negatives, "network");
  EXPECT_EQ(found[0].settings.size(), 6U);
  EXPECT_EQ(found[0].signed_rank.wins, 5U);
  EXPECT_EQ(found[0].signed_rank.losses, 1U);
  EXPECT_NEAR(found[0].signed_rank.rank_biserial, (15.0 - 6.0) / 21.0, 1e-12);
  EXPECT_NEAR(found[0].mean_difference, 0.015, 1e-12);
  EXPECT_EQ(found[1].protocol.negatives, "degree-matched");
  EXPECT_EQ(found[1].signed_rank.p_value, 2.0 / 64.0);
  const auto protocols = of_auroc(grid, folder.path(), Axis::protocol);
  EXPECT_TRUE(protocols.empty()) << "other datasets";
}

TEST(Comparisons, OfOmicsAndLeakRulesPairSettingsThatDifferInNothingElse) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  const Keys data = {{"data.dataset", "bone.h5"}};
  Keys rna = data, leaky = data, careful = data, other = data;
  rna["data.modalities"] = "rna";
  careful["train.init"] = "weights";
  leaky = careful;
  leaky["cross.leak"] = "same-dataset";
  other["data.modalities"] = "rna";
  other["model.cells"] = "100";
  grid.add({.setting = "bone", .auroc = 0.60, .keys = data});
  grid.add({.setting = "bone-rna", .omics = "rna", .auroc = 0.58, .keys = rna});
  grid.add({.setting = "bone-small", .omics = "rna", .auroc = 0.10, .keys = other});
  grid.add({.setting = "bone-leaky", .strategy = "cross", .auroc = 0.70, .keys = leaky});
  grid.add({.setting = "bone", .strategy = "cross", .auroc = 0.61, .keys = careful});
  const auto omics = of_auroc(grid, folder.path(), Axis::omics);
  ASSERT_EQ(omics.size(), 1U);
  EXPECT_EQ(omics[0].first, "rna");
  ASSERT_EQ(omics[0].settings.size(), 1U);
  EXPECT_NEAR(omics[0].settings[0].difference, 0.02, 1e-12);
  const auto leaks = of_auroc(grid, folder.path(), Axis::leak);
  ASSERT_EQ(leaks.size(), 1U);
  EXPECT_EQ(leaks[0].first, "none") << "whichever is listed first";
  EXPECT_NEAR(leaks[0].mean_difference, 0.09, 1e-12);
}

TEST(Comparisons, AreAdjustedAfterHolmAmongThoseOfOneKind) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  // Six settings: b beats a in all (p = 1/32), c in five with the least loss (p = 2/32), c and b differ too.
  for (int i = 0; i < 6; ++i) {
    const std::string setting = "s" + std::to_string(i);
    grid.add({.setting = setting, .method = "a", .auroc = 0.5});
    grid.add({.setting = setting, .method = "b", .auroc = 0.6 + 0.01 * i});
    grid.add({.setting = setting, .method = "c", .auroc = i == 0 ? 0.499 : 0.5 + 0.01 * i});
  }
  const auto found = of_auroc(grid, folder.path(), Axis::method);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].signed_rank.p_value, 2.0 / 64.0);  // b against a
  EXPECT_EQ(found[1].signed_rank.p_value, 4.0 / 64.0);  // c against a
  EXPECT_EQ(found[2].signed_rank.p_value, 2.0 / 64.0);  // c against b
  EXPECT_EQ(found[0].adjusted_p, 6.0 / 64.0);
  EXPECT_EQ(found[2].adjusted_p, 6.0 / 64.0) << "no smaller than the one before it";
  EXPECT_EQ(found[1].adjusted_p, 6.0 / 64.0);
}

}  // namespace
}  // namespace mgrn::experiments
