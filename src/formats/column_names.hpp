// SPDX-License-Identifier: Apache-2.0
// The words that headers of network files and TF lists use. Inside the room only.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace mgrn::formats {

inline constexpr std::size_t kNoColumn = static_cast<std::size_t>(-1);

/// First column whose name (any case, blanks, '_', '-' and '.' ignored) is a word for a regulator, a
/// target, a weight; kNoColumn when there is none.
std::size_t regulator_column(std::span<const std::string_view> header);
std::size_t target_column(std::span<const std::string_view> header);
std::size_t weight_column(std::span<const std::string_view> header);
/// For lists: a column of TFs, genes or symbols.
std::size_t symbol_column(std::span<const std::string_view> header);

}  // namespace mgrn::formats
