// SPDX-License-Identifier: Apache-2.0
// Correlation of every regulator with every target over all cells, from sparse columns. Internal to the room.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "multigrnformer/baselines/method.hpp"

namespace mgrn::baselines {

/// A gene's values less its background: cells without an entry are 0. Ascending by cell.
struct Deviations {
  std::vector<std::uint32_t> cell;
  std::vector<float> value;
};

/// Of the column's values.
Deviations value_deviations(const Column& column);

/// Collective. Pearson's correlation of what `deviations` gives for each gene: regulators x targets, 0 for a
/// gene with itself and where one does not vary. O(regulators x entries of the targets).
std::vector<double> correlate(const Problem& problem, const std::string& task,
                              const std::function<Deviations(std::uint32_t gene)>& deviations,
                              comm::Communicator& communicator);

}  // namespace mgrn::baselines
