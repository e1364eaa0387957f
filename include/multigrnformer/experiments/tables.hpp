// SPDX-License-Identifier: Apache-2.0
// All tables of a grid: of results, of searches, of data. Not collective.
#pragma once

#include <filesystem>
#include <string>

#include "multigrnformer/experiments/plan.hpp"

namespace mgrn::experiments {

/// results.csv, search.csv with the best points' configs, table1.csv: those that the plan has something for,
/// from what is done so far. Byte-stable. Throws DataError for a result that cannot be read, OutputError.
void write_tables(const Plan& plan, const std::filesystem::path& out);

/// The same for people, short.
std::string tables_summary(const Plan& plan, const std::filesystem::path& out);

/// Where they are, in one line; empty where the plan has nothing for any.
std::string tables_line(const Plan& plan, const std::filesystem::path& out);

}  // namespace mgrn::experiments
