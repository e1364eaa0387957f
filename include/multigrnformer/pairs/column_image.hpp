// SPDX-License-Identifier: Apache-2.0
// What a sampler draws from, for who copies it to another place (the memory of a GPU) and makes samples
// there: the same ones, bit for bit, as Sampler::gather.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mgrn::pairs {

/// How a column's values are stored. 16 bits: value = (number + zero) * step, where step is a power of two,
/// so that decoding rounds nowhere and gives the same bits with any instruction set.
struct Coding {
  float step = 0;  ///< 0: 32-bit floats as they are
  std::int32_t zero = 0;

  bool exact() const { return step == 0; }
  std::uint32_t width() const { return exact() ? sizeof(float) : sizeof(std::uint16_t); }
};

/// One gene, in the sampler's memory.
struct GeneImage {
  /// The cells that express it: a block of 32 bytes for every 224 cells, as four 64-bit words. The low 32
  /// bits of the first count the members in earlier blocks; bit b of the block (32 to 255) stands for cell
  /// 224 * block + b - 32.
  std::span<const std::byte> cell_set;
  /// RNA, then RP where there is ATAC, of one cell after another: of the members of the set, or, where
  /// samples may come from other cells too (SamplerOptions::pair_cells), of every cell.
  std::span<const std::byte> values;
  Coding rna, rp;  ///< both 16 bits, or both floats
};

struct ColumnImage {
  std::vector<GeneImage> genes;
  std::uint32_t cells = 0;  ///< of the dataset
};

/// A sample by its random numbers. Its cells are the first N of a Fisher-Yates shuffle, from the front, of
/// those to draw from, with the numbers of PhiloxStream(cells_key, 0), or N of them with replacement where
/// there are fewer; then, where `reordered`, in the order that base::shuffle gives them with
/// PhiloxStream(order_key, 0).
struct SampleRecipe {
  std::uint32_t tf = 0;  ///< place among ColumnImage::genes
  std::uint32_t gene = 0;
  std::uint64_t cells_key = 0;
  std::uint64_t order_key = 0;
  bool reordered = false;
};

}  // namespace mgrn::pairs
