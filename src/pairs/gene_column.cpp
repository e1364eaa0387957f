// SPDX-License-Identifier: Apache-2.0
#include "gene_column.hpp"

namespace mgrn::pairs {

namespace {

constexpr std::uint64_t kWordsPerBlock = 8;

std::uint64_t blocks_of(std::uint32_t cells) {
  return (std::uint64_t{cells} + 511) / 512;
}

std::uint64_t set_bytes(std::uint32_t cells) {
  return blocks_of(cells) *
         (kWordsPerBlock * (sizeof(std::uint64_t) + sizeof(std::uint16_t)) + sizeof(std::uint32_t));
}

}  // namespace

CellSet::CellSet(std::span<const std::uint32_t> ascending, std::uint32_t cells)
    : words_(blocks_of(cells) * kWordsPerBlock, 0),
      before_block_(blocks_of(cells), 0),
      before_word_(words_.size(), 0),
      count_(static_cast<std::uint32_t>(ascending.size())) {
  for (const std::uint32_t cell : ascending) {
    words_[cell >> 6] |= std::uint64_t{1} << (cell & 63);
  }
  std::uint32_t before = 0;
  for (std::size_t block = 0; block < before_block_.size(); ++block) {
    before_block_[block] = before;
    std::uint32_t within = 0;
    for (std::size_t word = block * kWordsPerBlock; word < (block + 1) * kWordsPerBlock; ++word) {
      before_word_[word] = static_cast<std::uint16_t>(within);
      within += static_cast<std::uint32_t>(__builtin_popcountll(words_[word]));
    }
    before += within;
  }
}

std::uint64_t CellSet::bytes() const {
  return words_.size() * sizeof(std::uint64_t) + before_block_.size() * sizeof(std::uint32_t) +
         before_word_.size() * sizeof(std::uint16_t);
}

ValueColumn::ValueColumn(std::span<const std::uint32_t> cells_ascending, std::span<const float> values,
                         float background, std::uint32_t cells)
    : background_(background) {
  dense_ = cells * sizeof(float) <= set_bytes(cells) + values.size() * sizeof(float);
  if (dense_) {
    values_.assign(cells, background);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values_[cells_ascending[i]] = values[i];
    }
  } else {
    stored_ = CellSet(cells_ascending, cells);
    values_.assign(values.begin(), values.end());
  }
}

std::uint64_t ValueColumn::bytes() const {
  return stored_.bytes() + values_.size() * sizeof(float);
}

}  // namespace mgrn::pairs
