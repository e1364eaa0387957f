// SPDX-License-Identifier: Apache-2.0
// Samples made on the device from columns that it holds: the same ones, bit for bit, as pairs/sampler.cpp
// makes (column_image.hpp there says how columns lie and which random numbers a sample takes). A block makes
// one sample.
#pragma once

#include "model/cell_set_layout.hpp"
#include "model/cuda/rank_draw.hpp"

namespace mgrn::model::cuda {

struct CellBlock {
  std::uint64_t words[4];
};
static_assert(sizeof(CellBlock) == kCellBlockBytes);

/// A gene's columns in the memory of the device.
struct DeviceColumns {
  const CellBlock* cells;
  const void* values;
  float rna_step, rp_step;  ///< 0: floats as they are, else 16-bit numbers
  std::int32_t rna_zero, rp_zero;
};

/// One sample to make. Plain data, copied to the device with every micro-batch.
struct GatherRow {
  DeviceColumns tf, gene;
  std::uint64_t cells_key, order_key;
  std::uint32_t cells;   ///< of the dataset; 0: padding, all zeros
  std::uint32_t blocks;  ///< of a cell set
  std::int32_t from;     ///< DrawFrom
  std::int32_t atac;
  std::int32_t reordered;
};

struct GatherArguments {
  const GatherRow* rows;  ///< [samples]
  int cells;              ///< N
  int width;
  float* inputs;           ///< [samples][N][width]
  std::uint32_t* without;  ///< [1]: becomes 1 where a row has no cells to draw from
};

/// Words of shared memory for a sample of N cells out of columns with so many blocks.
MGRN_BOTH std::size_t gather_words(int cells, std::uint32_t blocks) {
  return rank_words(cells) + blocks + kThreads;
}

struct Gather {
  static constexpr int kMostThreads = kThreads;
  static constexpr int kBlocksTogether = 2;
  GatherArguments a;

  template <typename Block>
  MGRN_DEVICE void operator()(Block& block) const {
    const GatherRow& row = a.rows[block.block()];
    float* const out = a.inputs + std::int64_t{block.block()} * a.cells * a.width;
    const Workspace work = workspace(block, row.blocks);
    std::uint32_t count = row.cells;
    if (count != 0 && row.from != kFromAll) count = running_counts(block, row, work);
    if (count == 0) {
      if (row.cells != 0 && block.thread() == 0) block.atomic_max(a.without, 1u);
      for (int i = block.thread(); i < a.cells * a.width; i += block.threads()) out[i] = 0.0f;
      return;
    }
    const RankDraw<Block> draw{block, a.cells, block.shared()};
    draw.draw(row.cells_key, count);
    if (row.reordered != 0) draw.reorder(row.order_key);
    for (int i = block.thread(); i < a.cells; i += block.threads()) {
      const std::uint32_t rank = draw.ranks()[i];
      const std::uint32_t place = row.from == kFromAll ? rank + kHeaderBits * (rank / kCellsPerBlock + 1)
                                                       : place_of_rank(row, work, rank);
      float* const to = out + std::int64_t{i} * a.width;
      copy(row, row.tf, place, to);
      copy(row, row.gene, place, to + 2);
      for (int column = 4; column < a.width; ++column) to[column] = 0.0f;
    }
  }

 private:
  struct Workspace {
    std::uint32_t* before;  ///< [blocks]: cells to draw from in earlier blocks
    std::uint32_t* parts;   ///< [threads]
  };

  template <typename Block>
  MGRN_DEVICE Workspace workspace(Block& block, std::uint32_t blocks) const {
    std::uint32_t* const words = reinterpret_cast<std::uint32_t*>(block.shared()) + rank_words(a.cells);
    return {words, words + blocks};
  }

  MGRN_DEVICE static std::uint64_t combined(const GatherRow& row, std::uint32_t at, int word) {
    const std::uint64_t tf = row.tf.cells[at].words[word], gene = row.gene.cells[at].words[word];
    const std::uint64_t both = row.from == kFromEither ? tf | gene : tf & gene;
    return word == 0 ? both & ~std::uint64_t{0xFFFFFFFFu} : both;
  }

  /// Each thread counts a run of blocks; the runs are then added up by doubling.
  template <typename Block>
  MGRN_DEVICE static std::uint32_t running_counts(Block& block, const GatherRow& row, const Workspace& work) {
    const int threads = block.threads(), thread = block.thread();
    const std::uint32_t each =
        (row.blocks + static_cast<std::uint32_t>(threads) - 1) / static_cast<std::uint32_t>(threads);
    const std::uint32_t first = static_cast<std::uint32_t>(thread) * each;
    const std::uint32_t end = first + each < row.blocks ? first + each : row.blocks;
    std::uint32_t members = 0;
    for (std::uint32_t at = first; at < end; ++at) {
      work.before[at] = members;
      MGRN_UNROLL
      for (int word = 0; word < 4; ++word) members += count_bits(combined(row, at, word));
    }
    work.parts[thread] = members;
    block.sync();
    for (int distance = 1; distance < threads; distance *= 2) {
      const std::uint32_t other = thread >= distance ? work.parts[thread - distance] : 0u;
      block.sync();
      work.parts[thread] += other;
      block.sync();
    }
    const std::uint32_t earlier = work.parts[thread] - members;
    for (std::uint32_t at = first; at < end; ++at) work.before[at] += earlier;
    const std::uint32_t count = work.parts[threads - 1];
    block.sync();
    return count;
  }

  /// The place (256 * block + bit) of the cell with `rank` cells to draw from below it.
  MGRN_DEVICE static std::uint32_t place_of_rank(const GatherRow& row, const Workspace& work,
                                                 std::uint32_t rank) {
    std::uint32_t at = 0;
    for (std::uint32_t above = row.blocks; above - at > 1;) {
      const std::uint32_t middle = (at + above) / 2;
      if (work.before[middle] <= rank) {
        at = middle;
      } else {
        above = middle;
      }
    }
    std::uint32_t left = rank - work.before[at];
    int word = 0;
    std::uint64_t bits = combined(row, at, 0);
    while (left >= count_bits(bits)) {
      left -= count_bits(bits);
      bits = combined(row, at, ++word);
    }
    std::uint32_t bit = 0;
    MGRN_UNROLL
    for (std::uint32_t half = 32; half > 0; half /= 2) {
      const std::uint64_t low = bits & ((std::uint64_t{1} << half) - 1);
      const std::uint32_t members = count_bits(low);
      const bool upper = left >= members;
      left -= upper ? members : 0;
      bit += upper ? half : 0;
      bits = upper ? bits >> half : low;
    }
    return at * 256 + static_cast<std::uint32_t>(word) * 64 + bit;
  }

  /// Which of a gene's values are those of the cell.
  MGRN_DEVICE static std::uint32_t value_index(const GatherRow& row, const DeviceColumns& gene,
                                               std::uint32_t place) {
    const std::uint32_t at = place >> 8;
    if (row.from != kFromBoth) return place - kHeaderBits * (at + 1);
    const CellBlock& cells = gene.cells[at];
    const std::uint32_t word = (place >> 6) & 3;
    std::uint32_t index = static_cast<std::uint32_t>(cells.words[0]);
    for (std::uint32_t w = 0; w <= word; ++w) {
      std::uint64_t bits = cells.words[w];
      if (w == 0) bits &= ~std::uint64_t{0xFFFFFFFFu};
      if (w == word) bits &= (std::uint64_t{1} << (place & 63)) - 1;
      index += count_bits(bits);
    }
    return index;
  }

  MGRN_DEVICE static float decoded(std::uint16_t number, std::int32_t zero, float step) {
    return static_cast<float>(std::int32_t{number} + zero) * step;
  }

  MGRN_DEVICE static void copy(const GatherRow& row, const DeviceColumns& gene, std::uint32_t place,
                               float* to) {
    const std::int64_t index = std::int64_t{value_index(row, gene, place)} * (row.atac != 0 ? 2 : 1);
    if (gene.rna_step == 0.0f) {
      const float* const values = static_cast<const float*>(gene.values);
      to[0] = values[index];
      to[1] = row.atac != 0 ? values[index + 1] : 0.0f;
    } else {
      const std::uint16_t* const numbers = static_cast<const std::uint16_t*>(gene.values);
      to[0] = decoded(numbers[index], gene.rna_zero, gene.rna_step);
      to[1] = row.atac != 0 ? decoded(numbers[index + 1], gene.rp_zero, gene.rp_step) : 0.0f;
    }
  }
};

}  // namespace mgrn::model::cuda
