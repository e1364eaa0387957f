// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/resolved_config.hpp"

#include <gtest/gtest.h>

namespace mgrn::train {
namespace {

const std::string kText =
    "out = x\n\n[pairs]\nseed = 1\n; a remark\n[train]\nepochs = 3\nseed = 2\nthreads = 1\n";

TEST(ResolvedConfig, KeysCarryTheirSection) {
  const auto values = config_values(kText);
  EXPECT_EQ(values.at("out"), "x");
  EXPECT_EQ(values.at("pairs.seed"), "1");
  EXPECT_EQ(values.at("train.seed"), "2");
  EXPECT_EQ(values.size(), 5u);
}

TEST(ResolvedConfig, TheKeyThatDiffersIsNamed) {
  const auto difference =
      first_difference(kText, with_config_value(kText, "train.epochs", "4"), keys_compared_by_content());
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->key, "train.epochs");
  EXPECT_EQ(difference->before, "3");
  EXPECT_EQ(difference->now, "4");
}

TEST(ResolvedConfig, AMissingKeyIsADifference) {
  EXPECT_EQ(first_difference(kText, kText + "votes =\n", {})->key, "train.votes");
}

TEST(ResolvedConfig, KeysWithoutInfluenceMayDiffer) {
  const auto other = with_config_value(with_config_value(kText, "train.threads", "8"), "out", "y");
  EXPECT_FALSE(first_difference(kText, other, keys_without_influence()));
  EXPECT_TRUE(first_difference(kText, other, {}));
}

TEST(ResolvedConfig, OneValueChangesAndNothingElse) {
  EXPECT_EQ(with_config_value(kText, "pairs.seed", "9"),
            "out = x\n\n[pairs]\nseed = 9\n; a remark\n[train]\nepochs = 3\nseed = 2\nthreads = 1\n");
  EXPECT_EQ(with_config_value(kText, "pairs.nothing", "9"), kText);
}

}  // namespace
}  // namespace mgrn::train
