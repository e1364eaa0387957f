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
  for (const Range& range : {Range{Negatives::multignn, 0.87, 0.98}, Range{Negatives::network, 0.61, 0.89},
                             Range{Negatives::degree_matched, 0.45, 0.55}}) {
    for (const std::uint64_t seed : {1u, 2u}) {
      const Split split = draw_split(one.dataset, network,
                                     {.negatives = range.rule, .by = {}, .seed = seed, .validation = 0.1});
      const double auroc = test::degree_only_auroc(split, one.dataset.genes.size());
      EXPECT_GE(auroc, range.low);
      EXPECT_LE(auroc, range.high);
      std::string notes;
      for (const std::string& note : split.notes) {
        notes += ' ' + note;
      }
      std::printf("%s rule %d seed %d: %zu TFs, %zu genes, %zu edges, degree-only AUROC %.3f;%s\n",
                  GetParam(), static_cast<int>(range.rule), static_cast<int>(seed), network.tfs.size(),
                  network.genes.size(), network.edges.size(), auroc, notes.c_str());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Labels, DegreeControl,
                         testing::Values("Non-Specific-hESC", "Non-Specific-mESC", "STRING-hESC",
                                         "STRING-mESC"));

}  // namespace
}  // namespace mgrn::pairs
