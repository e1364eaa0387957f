// SPDX-License-Identifier: Apache-2.0
#include "comm/probe_run.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>

#include "support/time_limit.hpp"

namespace mgrn::test {

int times_in(const std::string& all, const std::string& text) {
  int count = 0;
  for (auto at = all.find(text); at != std::string::npos; at = all.find(text, at + 1)) {
    ++count;
  }
  return count;
}

int Outcome::times(const std::string& text) const {
  return times_in(output, text);
}

Outcome start(const std::string& command) {
  Outcome outcome;
  const auto begin = std::chrono::steady_clock::now();
  FILE* pipe = popen(("exec 2>&1; " + command).c_str(), "r");
  if (pipe == nullptr) {
    return outcome;
  }
  std::array<char, 4096> block{};
  while (const auto length = fread(block.data(), 1, block.size(), pipe)) {
    outcome.output.append(block.data(), length);
  }
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return outcome;
}

Outcome on_ranks(int ranks, const std::string& way) {
  return start("timeout -k 2 " + std::to_string(time_limit(30)) +
               " " MGRN_MPIEXEC " " MGRN_MPIEXEC_RANKS " " + std::to_string(ranks) + " " MGRN_PROBE " " +
               way);
}

std::string host() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

}  // namespace mgrn::test
