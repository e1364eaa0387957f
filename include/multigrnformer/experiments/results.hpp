// SPDX-License-Identifier: Apache-2.0
// The results of a grid as one tidy table and as mean and SD over runs. Not collective.
#pragma once

#include <filesystem>
#include <string>

#include "multigrnformer/experiments/plan.hpp"

namespace mgrn::experiments {

/// results.csv: one row for each finished task that has a result, in the order of the grid file; metrics
/// beside their controls, empty where a task has none. Byte-stable. Throws DataError for a result.json that
/// cannot be read.
std::string results_table(const Plan& plan, const std::filesystem::path& out);

/// Writes DIR/results.csv. Throws OutputError.
void write_results(const Plan& plan, const std::filesystem::path& out);

/// Mean and SD over the finished runs of each setting, method, strategy and omics, for people.
std::string results_summary(const Plan& plan, const std::filesystem::path& out);

}  // namespace mgrn::experiments
