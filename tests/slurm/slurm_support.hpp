// SPDX-License-Identifier: Apache-2.0
// The submit scripts from outside, and stand-ins for the program.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "program/run_program.hpp"

namespace mgrn::test {

using Words = std::vector<std::string>;

/// Runs launch/ or slurm/ scripts ("slurm/submit-train.sh") in `folder`.
ProgramResult run_script(const std::string& script, const Words& arguments,
                         const std::filesystem::path& folder, const std::string& environment = "");
/// Words for the shell, quoted.
std::string shell_line(const Words& words);

/// Writes an executable bash script.
std::filesystem::path write_script(const std::filesystem::path& file, const std::string& text);
std::string content_of(const std::filesystem::path& file);
bool contains(const std::string& text, const std::string& part);

/// A program that stands in for multigrnformer where its place in a job is tested, not its work: `grid plan`
/// makes `tasks` tasks; `grid run` notes its share in OUT/shares.
std::filesystem::path write_grid_program(const std::filesystem::path& file, int tasks,
                                         const std::string& grid_run = "");

/// Files of a run that are promised to be the same, and metrics.jsonl without its one field of time.
std::map<std::string, std::string> promised_files(const std::filesystem::path& run);

}  // namespace mgrn::test
