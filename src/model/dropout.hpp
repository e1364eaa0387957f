// SPDX-License-Identifier: Apache-2.0
// Dropout masks that are a pure function of (sample name, layer, site, column, cell): the same in every
// engine, on every rank, in every batch. Sites are PyTorch's but for the attention probabilities, which
// linear-time attention never forms.
#pragma once

#include <cstdint>
#include <span>

namespace mgrn::model {

enum class DropoutSite : std::uint32_t {
  attention_output = 0,
  feed_forward_inner = 1,
  feed_forward_output = 2
};

/// Cells per mask word: bit b of word w of a column is cell 32 w + b; a set bit keeps the value.
inline constexpr int kMaskCells = 32;

/// The share of values that is dropped, in units of 2^-16: decisions use 16 random bits.
std::uint32_t dropout_threshold(double share);
/// What kept values are multiplied by: 1 / (1 - threshold / 2^16), so that expectations are exact.
double dropout_scale(double share);

/// Fills words[columns][words_per_column] for one site of one layer of one sample.
void dropout_mask(std::uint64_t sample_name, int layer, DropoutSite site, std::uint32_t threshold,
                  int columns, int words_per_column, std::span<std::uint32_t> words);

}  // namespace mgrn::model
