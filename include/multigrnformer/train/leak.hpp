// SPDX-License-Identifier: Apache-2.0
// Test pairs of the target must not be among the pairs that pretrained weights have seen. The check reads the
// split.csv that lies with the weights, so that it also holds for weights from elsewhere. Not collective.
#pragma once

#include <filesystem>
#include <string>

#include "multigrnformer/pairs/leak.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::train {

/// `test` are the target's test pairs. leak = none: throws DataError when a training or validation pair of
/// the weights' run equals one of them, in any dataset, with the count; or when no split.csv is beside the
/// weights. leak = same_dataset: only pairs of the dataset `target_id` count, and a missing split.csv is
/// warned about.
void check_leak(const std::filesystem::path& weights, const pairs::PairKeys& test,
                const std::string& target_id, Leak leak);

}  // namespace mgrn::train
