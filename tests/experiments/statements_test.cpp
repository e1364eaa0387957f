// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/statements.hpp"

#include <gtest/gtest.h>

#include "experiments/made_results.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::experiments {
namespace {

using mgrn::test::TemporaryDirectory;
using test::MadeGrid;

std::vector<RunGroup> groups_of(const MadeGrid& grid, const TemporaryDirectory& folder) {
  return group_runs(finished_runs(grid.plan, folder.path()));
}

TEST(Statements, SayThatAScoreLiesBelowWhatDegreesAloneReach) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  grid.add({.run = 1, .auroc = 0.56, .degree_auroc = 0.84, .within_tf_auroc = 0.49});
  grid.add({.run = 2, .auroc = 0.58, .degree_auroc = 0.86, .within_tf_auroc = 0.51});
  EXPECT_EQ(explain_score(groups_of(grid, folder).front(), {}, 0.25),
            "AUROC 0.570 (mean of 2 runs), chance 0.5. Degree-only alone, which never sees expression, "
            "reaches 0.850: "
            "the AUROC of 0.570 lies below it. Among the targets of one TF it is 0.500 (95 % interval 0.344 "
            "to 0.656): "
            "no better than chance.");
}

TEST(Statements, SayHowMuchOfAScoreDegreesExplainAndWhetherTheRestIsMoreThanSplitsDiffer) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  for (const std::uint64_t run : {1, 2, 3}) {
    const double wobble = 0.001 * static_cast<double>(run);
    grid.add({.run = run, .auroc = 0.698 + wobble, .degree_auroc = 0.56, .within_tf_auroc = 0.60 + wobble});
  }
  const std::string text = explain_score(groups_of(grid, folder).front(), {}, 0.25);
  EXPECT_NE(text.find("reaches 0.560: 30 % of what lies above chance."), std::string::npos) << text;
  EXPECT_NE(text.find("The 0.140 beyond it (95 % interval 0.137 to 0.143) is more than splits differ by."),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("better than chance."), std::string::npos) << text;
  EXPECT_EQ(text.find("no better"), std::string::npos) << text;
}

TEST(Statements, SetAScoreBesideThoseOfTheControlsOnTheSamePairs) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  grid.add({.auroc = 0.7, .degree_auroc = 0.8});
  grid.add({.method = "marginals", .auroc = 0.86, .degree_auroc = 0.8});
  grid.add({.setting = "other", .method = "marginals", .auroc = 0.91, .degree_auroc = 0.8});
  grid.add({.method = "neighbours", .auroc = 0.65, .degree_auroc = 0.8});
  const auto groups = groups_of(grid, folder);
  const ControlsBeside controls = controls_beside(groups[0], groups);
  ASSERT_TRUE(controls.marginals != nullptr && controls.neighbours != nullptr);
  EXPECT_EQ(controls.marginals->mean("auroc"), 0.86);
  EXPECT_EQ(controls.neighbours->mean("auroc"), 0.65);
  const std::string text = explain_score(groups[0], controls, 0.25);
  EXPECT_NE(text.find("reach 0.860: the AUROC lies 0.160 below them."), std::string::npos) << text;
  EXPECT_NE(text.find("see no expression at all, reach 0.650: the AUROC lies 0.050 above them."),
            std::string::npos)
      << text;
  EXPECT_EQ(controls_beside(groups[1], groups).marginals, nullptr);
  EXPECT_EQ(explain_score(groups[1], {}, 0.25).find("Boosted"), std::string::npos);
}

TEST(Statements, DoNotMakeMuchOfOneRun) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  grid.add({.auroc = 0.7, .degree_auroc = 0.49, .within_tf_auroc = 0.6});
  const std::string text = explain_score(groups_of(grid, folder).front(), {}, 0.25);
  EXPECT_NE(text.find("AUROC 0.700 (one run)"), std::string::npos) << text;
  EXPECT_NE(text.find("it explains nothing of this AUROC. The 0.210 beyond it rests on one run."),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("it is 0.600 (one run)."), std::string::npos) << text;
}

TEST(Statements, OfAGridNameTheBestAndHowManyLieAboveDegreeOnly) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  for (const char* setting : {"human", "mouse"}) {
    grid.add({.setting = setting, .auroc = 0.60, .degree_auroc = 0.85, .within_tf_auroc = 0.51});
    grid.add({.setting = setting,
              .strategy = "augment",
              .auroc = 0.65,
              .degree_auroc = 0.85,
              .within_tf_auroc = 0.50});
  }
  grid.add({.setting = "matched",
            .auroc = 0.55,
            .degree_auroc = 0.5,
            .keys = {{"pairs.negatives", "degree-matched"}}});
  const auto blocks = explain_grid(groups_of(grid, folder));
  ASSERT_EQ(blocks.size(), 2U);
  EXPECT_EQ(blocks[0].heading, "network negatives, edge split");
  EXPECT_EQ(blocks[0].lines.front(),
            "The highest mean AUROC is 0.650 (multigrnformer, augment). Degree-only alone, which never sees "
            "expression, "
            "reaches 0.850: no method or strategy lies above it on average. Among the targets of one TF, "
            "where chance is "
            "0.5, the highest mean is 0.510 (multigrnformer, standard).");
  EXPECT_EQ(blocks[0].lines.at(1),
            "multigrnformer, standard: AUROC 0.600 over 2 settings, above degree-only (0.850 on average) in "
            "none of "
            "them; within TFs 0.510.");
  EXPECT_EQ(blocks[1].heading, "degree-matched negatives, edge split");
  ASSERT_EQ(blocks[1].lines.size(), 1U);
  EXPECT_EQ(
      blocks[1].lines.front(),
      "multigrnformer, standard: AUROC 0.550 in one setting, above degree-only (0.500); within TFs 0.500.");
}

TEST(Statements, OfDifferencesAskOnlyWhereThereAreSettingsEnough) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  const auto add_settings = [&](int first, int last) {
    for (int i = first; i < last; ++i) {
      const std::string setting = "s" + std::to_string(i);
      grid.add({.setting = setting, .auroc = 0.5});
      grid.add({.setting = setting, .strategy = "augment", .auroc = 0.51 + 0.01 * i});
    }
  };
  add_settings(0, 3);
  auto blocks = explain_comparisons(compare_groups(groups_of(grid, folder)));
  ASSERT_EQ(blocks.size(), 1U);
  EXPECT_EQ(blocks[0].heading, "By strategy: multigrnformer; network negatives, edge split");
  EXPECT_EQ(blocks[0].lines,
            (std::vector<std::string>{
                "augment against standard: AUROC +0.020 on average over 3 settings (3 won, 0 lost).",
                "With 3 settings no difference could be told from chance over settings: the least possible p "
                "is 0.25."}));
  add_settings(3, 6);
  blocks = explain_comparisons(compare_groups(groups_of(grid, folder)));
  EXPECT_EQ(blocks.at(0).lines,
            (std::vector<std::string>{
                "augment against standard: AUROC +0.035 on average over 6 settings (6 won, 0 lost). "
                "Wilcoxon p 0.0312, after Holm 0.0312: more than chance would give."}));
}

TEST(Statements, TellTheLeakRuleOnlyWhereItIsNotTheStrictOne) {
  EXPECT_EQ(describe({.negatives = "network", .split = "tf-heldout", .leak = "none"}),
            "network negatives, tf-heldout split");
  EXPECT_EQ(describe({.negatives = "network", .split = "edge", .leak = "same-dataset"}),
            "network negatives, edge split, leak rule same-dataset");
}

}  // namespace
}  // namespace mgrn::experiments
