// SPDX-License-Identifier: Apache-2.0
// Commands that go on while a test looks on, and disturbs them.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace mgrn::test {

/// A command line of the shell in a process group of its own; killed when the object goes.
class Background {
 public:
  /// `log`: what it says, stdout and stderr.
  Background(const std::string& command, const std::filesystem::path& log);
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  pid_t pid() const { return pid_; }
  std::string output() const;
  /// Whether it has ended; wait() then returns at once.
  bool ended();
  /// Its exit code, or 128 + signal.
  int wait();

 private:
  pid_t pid_;
  int status_ = -1;  // of waitpid
  std::filesystem::path log_;
};

/// Processes of the program below `ancestor`.
std::vector<pid_t> ranks_below(pid_t ancestor);

/// Looks every few milliseconds; false when `seconds` (as this build needs them) are over.
bool wait_until(const std::function<bool()>& condition, double seconds = 120);

}  // namespace mgrn::test
