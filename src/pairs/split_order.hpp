// SPDX-License-Identifier: Apache-2.0
// What drawing a split and reading one have in common. Internal to the room.
#pragma once

#include <cstdint>
#include <vector>

#include "multigrnformer/pairs/split.hpp"

namespace mgrn::pairs {

/// By set, label (1 first), TF symbol, gene symbol.
void sort_pairs(std::vector<LabelledPair>& pairs, const store::DatasetHeader& dataset);

/// Turns `share` of the training pairs, of each label, into validation pairs. `pairs` must be sorted.
void hold_out_validation(std::vector<LabelledPair>& pairs, double share, std::uint64_t seed);

}  // namespace mgrn::pairs
