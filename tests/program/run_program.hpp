// SPDX-License-Identifier: Apache-2.0
// Runs the built program as a user would, and keeps what it said.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace mgrn::test {

struct ProgramResult {
  int code = -1;
  std::string output;  ///< stdout
  std::string errors;  ///< stderr
};

/// `ranks` 0: alone; else under mpiexec. `working_directory` empty: here.
ProgramResult run_program(const std::vector<std::string>& arguments, int ranks = 0,
                          const std::filesystem::path& working_directory = {});
/// Any command line, run by the shell.
ProgramResult run_shell(const std::string& command);

/// `program` quoted for the shell.
std::string program_path();
std::string mpiexec(int ranks);

/// The base case of the program tests: a small simulated and prepared dataset, made once per test binary.
struct SmallCase {
  std::filesystem::path folder;
  std::filesystem::path raw;      ///< multiome.h5
  std::filesystem::path dataset;  ///< prepared
  std::filesystem::path annotation;
  std::filesystem::path network;
  std::filesystem::path tfs;
  /// --data.* keys and a schedule of seconds.
  std::vector<std::string> training_keys(const std::filesystem::path& out) const;
};
const SmallCase& small_case();

}  // namespace mgrn::test
