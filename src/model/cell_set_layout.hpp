// SPDX-License-Identifier: Apache-2.0
// How a gene's cell set lies in memory (pairs/column_image.hpp), for those who read held columns.
#pragma once

#include <cstdint>

namespace mgrn::model {

inline constexpr std::uint32_t kCellsPerBlock = 224;
inline constexpr std::uint32_t kHeaderBits = 32;  ///< of a block's first word: the members in earlier blocks
inline constexpr std::uint32_t kCellBlockBytes = 32;

}  // namespace mgrn::model
