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
  EXPECT_TRUE(choose_coding(values_between(-1, 1, 100), 0, false).exact());
  EXPECT_FALSE(choose_coding(values_between(-1, 1, 100), 0, true).exact());
}

TEST(Coding, KeepsFloatsWhereSixteenBitsWouldNotDo) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(choose_coding(values_between(-64, 63.9f, 100), 0, true).exact());
  EXPECT_TRUE(choose_coding(values_between(-64, 64.1f, 100), 0, true).exact());
  EXPECT_TRUE(choose_coding(std::vector<float>{0, 1}, 200, true).exact()) << "the background counts";
  EXPECT_TRUE(choose_coding(std::vector<float>{0, infinity}, 0, true).exact());
  EXPECT_TRUE(choose_coding(std::vector<float>{0, std::nanf("")}, 0, true).exact());
  EXPECT_TRUE(choose_coding(std::vector<float>{1e30f, 1e30f}, 1e30f, true).exact());
}

TEST(Coding, StepsArePowersOfTwoAndAsSmallAsTheRangeAllows) {
  // Clipped z-scores: 20 wide in 65,536 steps of 2^-11.
  EXPECT_EQ(choose_coding(values_between(-10, 10, 10), 0, true).step, 0x1p-11f);
  EXPECT_EQ(choose_coding(values_between(-60, 60, 10), 0, true).step, kLargestStep);
  EXPECT_EQ(choose_coding(std::vector<float>{}, 0, true).step, 0x1p-20f);
}

// Sparse, and dense where nearly every cell has a value.
TEST(ColumnWriter, ColumnsGiveBackTheirValuesWithinHalfAStep) {
  constexpr std::uint32_t kCells = 3000;
  for (const double share : {0.1, 0.99}) {
    for (const auto& [least, most] :
         {std::pair{-10.0f, 10.0f}, {-0.01f, 0.02f}, {5.0f, 5.0f}, {-60.0f, 60.0f}}) {
      for (const bool compact : {false, true}) {
        base::PhiloxStream random(9, 9);
        std::vector<std::uint32_t> cells;
        for (std::uint32_t cell = 0; cell < kCells; ++cell) {
          if (random.uniform() < share) {
            cells.push_back(cell);
          }
        }
        const auto values = values_between(least, most, cells.size());
        const float background = (least + most) / 3;
        const auto memory = comm::private_memory(largest_column(cells.size(), kCells));
        ColumnWriter writer(memory.bytes(), 0, memory.bytes().size(), kCells, compact);
        const StoredColumn stored = writer.add(cells, values, background, true);
        EXPECT_EQ(stored.dense, share > 0.5 ? 1u : 0u);
        EXPECT_LE(writer.used(), memory.bytes().size());
        const Column column = open_column(memory.bytes(), stored);
        EXPECT_EQ(column.coding.exact(), !compact);
        const auto at = [&](std::size_t index) {
          return compact ? static_cast<float>(reinterpret_cast<const std::uint16_t*>(column.values)[index] +
                                              column.coding.zero) *
                               column.coding.step
                         : reinterpret_cast<const float*>(column.values)[index];
        };
        const float allowed = column.coding.step / 2;
        EXPECT_LT(allowed, 0.001f);
        for (std::size_t i = 0; i < cells.size(); ++i) {
          EXPECT_NEAR(at(stored.dense != 0 ? cells[i] : i), values[i], allowed);
        }
        if (stored.dense == 0) {
          EXPECT_NEAR(at(cells.size()), background, allowed);
        }
      }
    }
  }
}

}  // namespace
}  // namespace mgrn::pairs
