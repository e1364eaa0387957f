// SPDX-License-Identifier: Apache-2.0
#include "model/dropout.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

namespace mgrn::model {
namespace {

std::vector<std::uint32_t> mask(std::uint64_t name, int layer, DropoutSite site, double share, int columns,
                                int words) {
  std::vector<std::uint32_t> result(static_cast<std::size_t>(columns * words));
  dropout_mask(name, layer, site, dropout_threshold(share), columns, words, result);
  return result;
}

TEST(Dropout, DropsTheGivenShareAndScalesWhatItKeeps) {
  for (const double share : {0.0, 0.1, 0.5, 0.9}) {
    std::size_t kept = 0;
    for (const std::uint32_t word : mask(42, 0, DropoutSite::feed_forward_inner, share, 64, 64)) {
      kept += static_cast<std::size_t>(std::popcount(word));
    }
    const double total = 64 * 64 * 32;
    EXPECT_NEAR(static_cast<double>(kept) / total, 1 - share, 5 * 0.5 / std::sqrt(total));
    EXPECT_NEAR(dropout_scale(share) * (1 - share), 1.0, 2e-4);
  }
}

TEST(Dropout, MasksAreNamedBySampleLayerAndSite) {
  const auto base = mask(1, 0, DropoutSite::attention_output, 0.5, 4, 4);
  EXPECT_EQ(base, mask(1, 0, DropoutSite::attention_output, 0.5, 4, 4));
  EXPECT_NE(base, mask(2, 0, DropoutSite::attention_output, 0.5, 4, 4));
  EXPECT_NE(base, mask(1, 1, DropoutSite::attention_output, 0.5, 4, 4));
  EXPECT_NE(base, mask(1, 0, DropoutSite::feed_forward_output, 0.5, 4, 4));
  EXPECT_NE(base, mask(1, 0, DropoutSite::feed_forward_inner, 0.5, 4, 4));
}

TEST(Dropout, ACellsDecisionDoesNotDependOnTheSamplesLength) {
  const auto shorter = mask(9, 1, DropoutSite::attention_output, 0.3, 4, 2);
  const auto longer = mask(9, 1, DropoutSite::attention_output, 0.3, 4, 5);
  for (std::size_t column = 0; column < 4; ++column) {
    for (std::size_t word = 0; word < 2; ++word)
      EXPECT_EQ(shorter[column * 2 + word], longer[column * 5 + word]);
  }
}

}  // namespace
}  // namespace mgrn::model
