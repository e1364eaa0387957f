// SPDX-License-Identifier: Apache-2.0
// What a score that knows training degrees alone reaches on real networks, per rule of negatives: the
// published ranges for BEELINE's hESC and mESC sets.
#include <gtest/gtest.h>

#include "small_networks.hpp"
#include "support/shared_data.hpp"

namespace mgrn::pairs {
namespace {

class DegreeControl : public testing::TestWithParam<const char*> {};

TEST_P(DegreeControl, DegreeOnlyAurocIsInTheKnownRangeOfEachRule) {
  const auto folder = mgrn::test::real_data(std::string("labels/") + GetParam());
  MGRN_REQUIRE_REAL_DATA(folder);
  const auto one = test::label_case(folder);
  const auto network = one.restricted();
  struct Range {
    Negatives rule;
    double low, high;
  };
  for (const Range& range : {Range{Negatives::multignn, 0.87, 0.98}, Range{Negatives::network, 0.60, 0.90},
                             Range{Negatives::degree_matched, 0.45, 0.55}}) {
    for (const std::uint64_t seed : {1u, 2u}) {
      const Split split = draw_split(one.dataset, network,
                                     {.negatives = range.rule, .by = {}, .seed = seed, .validation = 0.1});
      const double auroc = test::degree_only_auroc(split, one.dataset.genes.size());
      EXPECT_GE(auroc, range.low) << "rule " << static_cast<int>(range.rule) << ", seed " << seed;
      EXPECT_LE(auroc, range.high) << "rule " << static_cast<int>(range.rule) << ", seed " << seed;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Labels, DegreeControl,
                         testing::Values("Non-Specific-hESC", "Non-Specific-mESC", "STRING-hESC",
                                         "STRING-mESC"));

}  // namespace
}  // namespace mgrn::pairs
