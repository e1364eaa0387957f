// SPDX-License-Identifier: Apache-2.0
// A parameter search as a grid file asks for it: which keys take which values, and which of the combinations
// are tried. Sections [search] and [space]; the strategy `search` runs it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mgrn::experiments {

struct SearchSpace {
  enum class Design {
    full,           ///< every combination
    one_at_a_time,  ///< one key changed, the others as the setting has them (the paper's Figure 2)
    random,         ///< `points` different combinations
  };
  Design design = Design::full;
  std::uint64_t folds = 5;
  std::uint64_t points = 20;     ///< random alone
  std::uint64_t seed = 1;        ///< random alone
  double keep = 1;               ///< share of the points that goes on after each fold, rounded up; 1: all
  std::string metric = "auroc";  ///< of result.json; the largest mean over folds wins
  /// Keys of train and their values, in the order of the keys' names.
  std::vector<std::pair<std::string, std::vector<std::string>>> values;
};

/// The values that each point sets, every point once; `around` are the setting's own keys. A function of its
/// arguments. Throws UsageError for an empty space, a key without values, a value given twice, or more than
/// 10,000 points.
std::vector<std::map<std::string, std::string>> search_points(
    const SearchSpace& space, const std::map<std::string, std::string>& around);

}  // namespace mgrn::experiments
