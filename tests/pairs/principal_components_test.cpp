// SPDX-License-Identifier: Apache-2.0
// Components against the ones that LAPACK-backed NumPy finds in the same rows (golden/make_components.py).
#include "multigrnformer/pairs/principal_components.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "multigrnformer/base/json.hpp"
#include "support/paths.hpp"

namespace mgrn::pairs {
namespace {

struct Case {
  std::uint32_t cells;
  std::vector<Profile> rows;
  base::Json expected;
};

Case golden_case() {
  const base::Json golden = base::read_json(mgrn::test::source_path("tests/pairs/golden/components.json"));
  Case found{.cells = golden["cells"].get<std::uint32_t>(), .rows = {}, .expected = golden};
  for (const base::Json& row : golden["rows"]) {
    const store::GeneRow stored{.cell = row["cell"].get<std::vector<std::uint32_t>>(),
                                .value = row["value"].get<std::vector<float>>(),
                                .count = {}};
    found.rows.push_back(standardised(stored, row["background"].get<double>(), found.cells));
  }
  return found;
}

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

TEST(PrincipalComponents, EqualNumPysRightSingularVectors) {
  const Case one = golden_case();
  const auto wanted = one.expected["components"].size();
  const auto got = principal_components(one.rows, one.cells, wanted, 24, 1);
  for (std::size_t k = 0; k < wanted; ++k) {
    const auto expected = one.expected["components"][k].get<std::vector<double>>();
    for (std::size_t n = 0; n < one.cells; ++n) {
      ASSERT_NEAR(got[k * one.cells + n], expected[n], 1e-8) << "component " << k;
    }
  }
  // Where the start is drawn does not matter.
  const auto other = principal_components(one.rows, one.cells, wanted, 24, 99);
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], other[i], 1e-8);
  }
  EXPECT_EQ(principal_components(one.rows, one.cells, wanted, 24, 1), got);
}

TEST(PrincipalComponents, AStandardRowHasMeanZeroAndVarianceOneAndAConstantOneIsZero) {
  const Case one = golden_case();
  for (const Profile& row : one.rows) {
    std::vector<double> dense(one.cells, row.background);
    for (std::size_t i = 0; i < row.cell.size(); ++i) {
      dense[row.cell[i]] = row.value[i];
    }
    EXPECT_NEAR(std::accumulate(dense.begin(), dense.end(), 0.0), 0, 1e-9);
    EXPECT_NEAR(dot(dense, dense), one.cells, 1e-6);
    const double total = std::accumulate(dense.begin(), dense.begin() + 7, 0.0);
    std::vector<double> weights(one.cells, 0.0);
    std::fill_n(weights.begin(), 7, 1.0);
    EXPECT_NEAR(row.dot(weights, 7.0), total, 1e-9);
  }
  const store::GeneRow constant{.cell = {0, 3}, .value = {2.0f, 2.0f}, .count = {}};
  const Profile flat = standardised(constant, 2.0, 10);
  EXPECT_EQ(flat.background, 0);
  EXPECT_EQ(flat.value, (std::vector<double>{0, 0}));
}

TEST(PrincipalComponents, AreOrthonormalAndZeroBeyondTheRank) {
  const Case one = golden_case();
  const std::vector<Profile> three(one.rows.begin(), one.rows.begin() + 3);
  const auto got = principal_components(three, one.cells, 5, 24, 1);
  const auto component = [&](std::size_t k) { return std::span(got).subspan(k * one.cells, one.cells); };
  for (std::size_t a = 0; a < 5; ++a) {
    for (std::size_t b = 0; b <= a; ++b) {
      EXPECT_NEAR(dot(component(a), component(b)), a == b && a < 3 ? 1 : 0, 1e-9);
    }
  }
  EXPECT_EQ(principal_components({}, one.cells, 2, 24, 1), std::vector<double>(2 * one.cells, 0.0));
}

}  // namespace
}  // namespace mgrn::pairs
