// SPDX-License-Identifier: Apache-2.0
// Which figures a grid's results make: those of the paper's Figures 2 to 7 in kind that its settings,
// strategies and methods allow, each beside the controls, and the curves of every setting.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "multigrnformer/experiments/chart.hpp"
#include "multigrnformer/experiments/run_groups.hpp"

namespace mgrn::experiments {

/// In the order of the page. Reads predictions.csv, split.csv and metrics.jsonl of every run, and the
/// search.csv of `out` where a grid has searched. Throws DataError.
std::vector<Figure> make_figures(const std::vector<RunGroup>& groups, const std::filesystem::path& out);

/// The names that figures can have, so that a new report can take away what an earlier one drew.
const std::vector<std::string>& figure_names();

}  // namespace mgrn::experiments
