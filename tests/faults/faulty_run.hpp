// SPDX-License-Identifier: Apache-2.0
// Runs of twelve steps in which something goes wrong.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "program/run_program.hpp"

namespace mgrn::test {

constexpr int kSteps = 12;  ///< of drill(): three epochs of four

/// `train` on the small case, a checkpoint after each step, with `keys` ("--key" to value, empty for a flag).
std::vector<std::string> drill(const std::filesystem::path& out,
                               const std::map<std::string, std::string>& keys = {});

/// Under mpiexec with $MGRN_FAULT = `fault` (fault_plan.hpp) and `settings` of the environment before it
/// ("A=1 B=2"). A run that hangs is killed, and gives another exit code than any expected one.
ProgramResult run_faulty(const std::string& fault, const std::vector<std::string>& arguments, int ranks,
                         const std::string& settings = "");

/// The folder of an undisturbed drill() on one rank, made once per test binary.
const std::filesystem::path& undisturbed_run();

int times_in(const std::string& all, const std::string& text);
std::string host();

}  // namespace mgrn::test
