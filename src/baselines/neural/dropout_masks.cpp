// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/baselines/dropout_masks.hpp"

#include <cmath>
#include <vector>

#include "multigrnformer/base/philox.hpp"

namespace mgrn::baselines {

void dropout_mask(std::uint64_t sample_name, std::uint32_t place, double share, std::span<float> mask) {
  const auto threshold = static_cast<std::uint32_t>(std::lround(share * 65536.0));
  const auto kept = static_cast<float>(65536.0 / (65536.0 - threshold));
  thread_local std::vector<std::uint32_t> random;
  random.resize((mask.size() + 1) / 2);
  base::philox_fill(sample_name, base::NameHash().add("baseline dropout").add(place).value(), random);
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const std::uint32_t bits = random[i / 2] >> (i % 2 * 16) & 0xFFFFu;
    mask[i] = bits >= threshold ? kept : 0.0f;
  }
}

}  // namespace mgrn::baselines
