// SPDX-License-Identifier: Apache-2.0
// Dropout masks of the baseline networks: a pure function of (sample name, place in the network), so that
// they are the same on any number of ranks.
#pragma once

#include <cstdint>
#include <span>

namespace mgrn::baselines {

/// Fills `mask` with 0 and 1 / (1 - share), each value dropped with probability `share` (to 2^-16) by 16
/// random bits. `place` counts the network's dropout layers.
void dropout_mask(std::uint64_t sample_name, std::uint32_t place, double share, std::span<float> mask);

}  // namespace mgrn::baselines
