// SPDX-License-Identifier: Apache-2.0
// The sampler's loops in every variant that this processor runs, against sets of numbers.
#include "pairs/sampler_kernels.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#include "multigrnformer/base/philox.hpp"

namespace mgrn::pairs {
namespace {

struct AlignedSet {
  AlignedSet(std::uint32_t cells, double share, std::uint64_t key)
      : memory(new (std::align_val_t{64}) CellBlock[blocks_of(cells)]),
        blocks(memory.get(), blocks_of(cells)) {
    base::PhiloxStream random(key, cells);
    for (std::uint32_t cell = 0; cell < cells; ++cell) {
      if (random.uniform() < share) {
        members.push_back(cell);
      }
    }
    write_cells(blocks, members);
  }

  struct Free {
    void operator()(CellBlock* held) const { ::operator delete[](held, std::align_val_t{64}); }
  };
  std::unique_ptr<CellBlock, Free> memory;
  std::span<CellBlock> blocks;
  std::vector<std::uint32_t> members;
};

/// Every loop of `kernels` against the cells that the two sets give together, ascending.
void expect_loops_find(const CombinedCellsKernels& kernels, const AlignedSet& a, const AlignedSet& b,
                       const std::vector<std::uint32_t>& cells) {
  std::vector<std::uint32_t> places(cells.size());
  std::transform(cells.begin(), cells.end(), places.begin(), place_of);
  const std::size_t blocks = a.blocks.size();
  EXPECT_EQ(kernels.count(a.blocks.data(), b.blocks.data(), blocks), cells.size());
  SelectIndex index;
  index.resize(blocks);
  EXPECT_EQ(kernels.running_counts(a.blocks.data(), b.blocks.data(), blocks, index.before.data()),
            cells.size());
  for (std::size_t block = 0; block < blocks; ++block) {
    const auto before = std::lower_bound(cells.begin(), cells.end(), block * kCellsPerBlock);
    ASSERT_EQ(index.before[block], before - cells.begin());
  }
  index.finish(blocks);
  std::vector<std::uint32_t> listed(cells.size() + kListOverrun);
  kernels.list(a.blocks.data(), b.blocks.data(), blocks, listed.data());
  listed.resize(cells.size());
  EXPECT_EQ(listed, places);
  std::vector<std::uint32_t> ranks(cells.size());
  for (std::uint32_t i = 0; i < ranks.size(); ++i) {
    ranks[i] = static_cast<std::uint32_t>(ranks.size()) - 1 - i;
  }
  std::vector<std::uint32_t> selected(ranks.size());
  kernels.select(a.blocks.data(), b.blocks.data(), index, ranks, selected.data());
  std::reverse(selected.begin(), selected.end());
  EXPECT_EQ(selected, places);
}

class SamplerKernelsOfSize : public testing::TestWithParam<std::uint32_t> {};

TEST_P(SamplerKernelsOfSize, EveryVariantCountsListsSelectsAndRanksAlike) {
  const std::uint32_t cells = GetParam();
  for (const auto& [left, right] : {std::pair{0.05, 0.6}, {0.7, 0.9}, {1.0, 1.0}, {0.0, 0.5}, {0.001, 1.0}}) {
    const AlignedSet a(cells, left, 1);
    const AlignedSet b(cells, right, 2);
    std::vector<std::uint32_t> shared;
    std::vector<std::uint32_t> either;
    std::set_intersection(a.members.begin(), a.members.end(), b.members.begin(), b.members.end(),
                          std::back_inserter(shared));
    std::set_union(a.members.begin(), a.members.end(), b.members.begin(), b.members.end(),
                   std::back_inserter(either));
    std::vector<std::uint32_t> shared_places(shared.size());
    std::transform(shared.begin(), shared.end(), shared_places.begin(), place_of);
    for (std::uint32_t cell = 0; cell < cells; ++cell) {
      EXPECT_EQ(cell_of(place_of(cell)), cell);
    }
    for (const SamplerKernels* kernels : all_sampler_kernels()) {
      SCOPED_TRACE(kernels->name);
      expect_loops_find(kernels->both, a, b, shared);
      expect_loops_find(kernels->either, a, b, either);

      std::vector<std::uint32_t> found(shared.size());
      kernels->rank(a.blocks.data(), shared_places, found.data());
      for (std::size_t i = 0; i < found.size(); ++i) {
        ASSERT_EQ(a.members[found[i]], shared[i]);
      }
      std::vector<std::uint32_t> of_a(shared.size() + kListOverrun), of_b(of_a.size());
      kernels->rank_both(a.blocks.data(), b.blocks.data(), a.blocks.size(), of_a.data(), of_b.data());
      for (std::size_t i = 0; i < shared.size(); ++i) {
        ASSERT_EQ(a.members[of_a[i]], shared[i]);
        ASSERT_EQ(b.members[of_b[i]], shared[i]);
      }
    }
  }
}

// Around one block, one cache line, one step of the vectors, and the groups of 16 and 256 blocks.
INSTANTIATE_TEST_SUITE_P(Cells, SamplerKernelsOfSize,
                         testing::Values(1, 31, 223, 224, 225, 448, 449, 896, 1000, 3584, 3585, 10000, 57344,
                                         57345, 200001, 1000000));

}  // namespace
}  // namespace mgrn::pairs
