// SPDX-License-Identifier: Apache-2.0
// The submit scripts from outside, and stand-ins for the program.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "program/run_program.hpp"

namespace mgrn::test {

using Words = std::vector<std::string>;

inline constexpr const char* kTrain = "slurm/submit-train.sh";
inline constexpr const char* kChain = "slurm/submit-pretrain-finetune.sh";
inline constexpr const char* kGrid = "slurm/submit-grid.sh";

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

}  // namespace mgrn::test
