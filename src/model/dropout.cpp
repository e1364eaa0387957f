// SPDX-License-Identifier: Apache-2.0
#include "model/dropout.hpp"

#include <cmath>

#include "multigrnformer/base/philox.hpp"

namespace mgrn::model {

std::uint32_t dropout_threshold(double share) {
  return static_cast<std::uint32_t>(std::lround(share * 65536.0));
}

double dropout_scale(double share) {
  return 65536.0 / (65536.0 - dropout_threshold(share));
}

void dropout_mask(std::uint64_t sample_name, int layer, DropoutSite site, std::uint32_t threshold,
                  int columns, int words_per_column, std::span<std::uint32_t> words) {
  const std::array<std::uint32_t, 2> key{static_cast<std::uint32_t>(sample_name),
                                         static_cast<std::uint32_t>(sample_name >> 32)};
  // "drop", so that these counters meet no other stream that is keyed by the same name.
  constexpr std::uint32_t kDomain = 0x64726F70u;
  const std::uint32_t place = static_cast<std::uint32_t>(layer) * 3u + static_cast<std::uint32_t>(site);
  std::size_t next = 0;
  for (int column = 0; column < columns; ++column) {
    for (int word = 0; word < words_per_column; ++word) {
      std::uint32_t bits = 0;
      for (std::uint32_t quarter = 0; quarter < 4; ++quarter) {
        const base::PhiloxBlock random =
            base::philox4x32({static_cast<std::uint32_t>(column),
                              static_cast<std::uint32_t>(word) * 4u + quarter, place, kDomain},
                             key);
        for (std::uint32_t pair = 0; pair < 4; ++pair) {
          const std::uint32_t low = (random[pair] & 0xFFFFu) >= threshold ? 1u : 0u;
          const std::uint32_t high = (random[pair] >> 16) >= threshold ? 1u : 0u;
          bits |= (low | high << 1) << (quarter * 8u + pair * 2u);
        }
      }
      words[next++] = bits;
    }
  }
}

}  // namespace mgrn::model
