// SPDX-License-Identifier: Apache-2.0
// The settings of a grid as the paper's Table 1 describes them. Not collective.
#pragma once

#include <filesystem>
#include <string>

#include "multigrnformer/experiments/plan.hpp"

namespace mgrn::experiments {

/// table1.csv: one row for each setting that the strategy `inspect` has described, in the order of the grid
/// file: cells, TFs, genes, edges, density (edges / (TFs x genes)), and how many cells its pairs share. Empty
/// text where the plan describes nothing. Byte-stable. Throws DataError for an inspect.json that cannot be
/// read.
std::string description_table(const Plan& plan, const std::filesystem::path& out);

/// Writes DIR/table1.csv. Does nothing where the plan describes nothing. Throws OutputError.
void write_description(const Plan& plan, const std::filesystem::path& out);

}  // namespace mgrn::experiments
