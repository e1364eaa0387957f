// SPDX-License-Identifier: Apache-2.0
// A set of cells with rank in constant time and one cache line: blocks of 32 bytes that hold 224 cells behind
// the number of members before the block. Internal to the room.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace mgrn::pairs {

inline constexpr std::uint32_t kCellsPerBlock = 224;
inline constexpr std::uint32_t kHeaderBits = 32;
/// The bits of a block's first word that stand for cells.
inline constexpr std::uint64_t kNoHeader = ~std::uint64_t{0xFFFFFFFF};

/// Two blocks fill a cache line; none lies across two, since columns begin on cache lines.
struct alignas(32) CellBlock {
  std::uint64_t words[4];
};

inline std::uint64_t blocks_of(std::uint64_t cells) {
  return (cells + kCellsPerBlock - 1) / kCellsPerBlock;
}

// A cell's place: 256 * its block + its bit in the block (32 to 255). Loops over drawn cells carry places,
// which need no division.
inline std::uint32_t place_of(std::uint32_t cell) {
  return cell + kHeaderBits * (cell / kCellsPerBlock + 1);
}
inline std::uint32_t cell_of(std::uint32_t place) {
  return place - kHeaderBits * ((place >> 8) + 1);
}

inline std::uint32_t members_before(const CellBlock& block) {
  return static_cast<std::uint32_t>(block.words[0]);
}

/// Writes the set over whatever was there. `cells` ascend and are below 224 * blocks.size().
inline void write_cells(std::span<CellBlock> blocks, std::span<const std::uint32_t> cells) {
  std::fill(blocks.begin(), blocks.end(), CellBlock{});
  for (const std::uint32_t cell : cells) {
    const std::uint32_t place = place_of(cell);
    blocks[place >> 8].words[(place >> 6) & 3] |= std::uint64_t{1} << (place & 63);
  }
  std::uint32_t before = 0;
  for (CellBlock& block : blocks) {
    std::uint32_t members = 0;
    for (const std::uint64_t word : block.words) {
      members += static_cast<std::uint32_t>(__builtin_popcountll(word));
    }
    block.words[0] |= before;
    before += members;
  }
}

}  // namespace mgrn::pairs
