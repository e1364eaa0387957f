// SPDX-License-Identifier: Apache-2.0
// The points of a parameter search, key by key: in kind the paper's Figure 2.
#pragma once

#include <filesystem>

#include "multigrnformer/experiments/chart.hpp"

namespace mgrn::experiments {

/// From the grid's search.csv; without panels where there is none, or no key has three numbers. Throws
/// DataError for a file that is no such table.
Figure search_figure(const std::filesystem::path& search_csv);

}  // namespace mgrn::experiments
