// SPDX-License-Identifier: Apache-2.0
// What a grid's parameter searches have found. Not collective.
#pragma once

#include <filesystem>
#include <string>

#include "multigrnformer/experiments/plan.hpp"

namespace mgrn::experiments {

/// search.csv: one row for each point of each search: how many folds it has, whether it is the best, whether
/// it has left the race, mean and SD of its metrics over those folds beside their controls, and the values of
/// the keys that are searched, empty where a search does not have the key. Empty text where the plan has no
/// search. Byte-stable. Throws DataError for a result.json that cannot be read.
std::string search_table(const Plan& plan, const std::filesystem::path& out);

/// Writes DIR/search.csv and, for each search that is complete, DIR/search/SETTING[.rna].run-R.ini: a config
/// for `train` with the best point's keys; its paths into the grid's folder are relative. Does nothing where
/// the plan has no search. Throws OutputError.
void write_search(const Plan& plan, const std::filesystem::path& out);

/// The best point of each search that is complete, and how far the others are, for people; empty where the
/// plan has no search.
std::string search_summary(const Plan& plan, const std::filesystem::path& out);

}  // namespace mgrn::experiments
