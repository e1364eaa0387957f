// SPDX-License-Identifier: Apache-2.0
// One colour for each strategy and each method through all figures of a report. Pure.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "multigrnformer/experiments/run_groups.hpp"

namespace mgrn::experiments {

/// Place of the group's method, strategy or omics among those of the grid, in order of appearance.
inline std::size_t colour_of(const std::vector<RunGroup>& groups, const RunGroup& group,
                             std::string RunGroup::*member) {
  std::vector<std::string> seen;
  for (const auto& other : groups) {
    if (other.*member == group.*member) {
      break;
    }
    if (std::find(seen.begin(), seen.end(), other.*member) == seen.end()) {
      seen.push_back(other.*member);
    }
  }
  return seen.size();
}

}  // namespace mgrn::experiments
