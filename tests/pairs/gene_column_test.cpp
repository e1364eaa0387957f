// SPDX-License-Identifier: Apache-2.0
#include "pairs/gene_column.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/shared_memory.hpp"

namespace mgrn::pairs {
namespace {

std::vector<float> values_between(float least, float most, std::size_t count) {
  base::PhiloxStream random(1, count);
  std::vector<float> values{least, most};
  while (values.size() < count) {
    values.push_back(least + (most - least) * static_cast<float>(random.uniform()));
  }
  return values;
}

TEST(Coding, KeepsFloatsUnlessCompactValuesAreAskedFor) {
  EXPECT_TRUE(choose_coding(values_between(-1, 1, 100), false).exact());
  EXPECT_FALSE(choose_coding(values_between(-1, 1, 100), true).exact());
}

TEST(Coding, KeepsFloatsWhereSixteenBitsWouldNotDo) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(choose_coding(values_between(-64, 63.9f, 100), true).exact());
  EXPECT_TRUE(choose_coding(values_between(-64, 64.1f, 100), true).exact());
  EXPECT_TRUE(choose_coding(std::vector<float>{0, infinity}, true).exact());
  EXPECT_TRUE(choose_coding(std::vector<float>{0, std::nanf("")}, true).exact());
  EXPECT_TRUE(choose_coding(std::vector<float>{1e30f, 1e30f}, true).exact());
}

TEST(Coding, StepsArePowersOfTwoAndAsSmallAsTheRangeAllows) {
  // Clipped z-scores: 20 wide in 65,536 steps of 2^-11.
  EXPECT_EQ(choose_coding(values_between(-10, 10, 10), true).step, 0x1p-11f);
  EXPECT_EQ(choose_coding(values_between(-60, 60, 10), true).step, kLargestStep);
  EXPECT_EQ(choose_coding(std::vector<float>{}, true).step, 0x1p-20f);
}

TEST(ColumnWriter, ColumnsGiveBackTheirValuesWithinHalfAStep) {
  constexpr std::uint32_t kCells = 3000;
  for (const double share : {0.0, 0.1, 0.99}) {
    for (const auto& [least, most] :
         {std::pair{-10.0f, 10.0f}, {-0.01f, 0.02f}, {5.0f, 5.0f}, {-60.0f, 60.0f}}) {
      for (const bool atac : {false, true}) {
        for (const bool compact : {false, true}) {
          base::PhiloxStream random(9, 9);
          GeneCells gene;
          for (std::uint32_t cell = 0; cell < kCells; ++cell) {
            if (random.uniform() < share) {
              gene.expressed.push_back(cell);
            }
          }
          if (!gene.expressed.empty()) {
            gene.rna = values_between(least, most, gene.expressed.size());
            if (atac) {
              gene.rp = values_between(-2 * most, 1.5f, gene.expressed.size());
            }
          }
          const auto memory = comm::private_memory(largest_columns(gene.expressed.size(), kCells, atac));
          ColumnWriter writer(memory.bytes(), 0, memory.bytes().size(), kCells, compact);
          const StoredColumns stored = writer.add(gene);
          EXPECT_LE(writer.used(), memory.bytes().size());
          const GeneColumns columns = open_columns(memory.bytes(), stored);
          ASSERT_EQ(columns.count, gene.expressed.size());
          EXPECT_EQ(columns.rna.exact(), !compact);
          EXPECT_EQ(columns.rp.exact(), !compact);
          const std::size_t each = gene.rp.empty() ? 1 : 2;
          const auto at = [&](std::size_t index, const Coding& coding) {
            return compact
                       ? static_cast<float>(reinterpret_cast<const std::uint16_t*>(columns.values)[index] +
                                            coding.zero) *
                             coding.step
                       : reinterpret_cast<const float*>(columns.values)[index];
          };
          for (std::size_t i = 0; i < gene.expressed.size(); ++i) {
            ASSERT_NEAR(at(each * i, columns.rna), gene.rna[i], columns.rna.step / 2);
            if (each == 2) {
              ASSERT_NEAR(at(2 * i + 1, columns.rp), gene.rp[i], columns.rp.step / 2);
            }
          }
        }
      }
    }
  }
}

TEST(ColumnWriter, BothValuesStayFloatsWhereOneDoesNotFitSixteenBits) {
  const GeneCells gene{.expressed = {3, 7}, .rna = {1.5f, -2.25f}, .rp = {0.1f, 500.0f}};
  const auto memory = comm::private_memory(largest_columns(2, 100, true));
  ColumnWriter writer(memory.bytes(), 0, memory.bytes().size(), 100, true);
  const GeneColumns columns = open_columns(memory.bytes(), writer.add(gene));
  EXPECT_TRUE(columns.rna.exact());
  EXPECT_TRUE(columns.rp.exact());
  const auto* values = reinterpret_cast<const float*>(columns.values);
  EXPECT_EQ(std::vector<float>(values, values + 4), (std::vector<float>{1.5f, 0.1f, -2.25f, 500.0f}));
}

}  // namespace
}  // namespace mgrn::pairs
