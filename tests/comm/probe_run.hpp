// SPDX-License-Identifier: Apache-2.0
// A probe (a program that ends in the ways a program can end) from outside: its exit code and what it said.
#pragma once

#include <string>

namespace mgrn::test {

struct Outcome {
  int code = -1;       ///< exit code, or 128 + signal
  std::string output;  ///< stdout and stderr
  double seconds = 0;

  int times(const std::string& text) const;
};

int times_in(const std::string& all, const std::string& text);

/// Any command line, run by the shell.
Outcome start(const std::string& command);

/// MGRN_PROBE under mpiexec. A hang fails the test and does not outlive it.
Outcome on_ranks(int ranks, const std::string& way);

/// This machine's name.
std::string host();

}  // namespace mgrn::test
