// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/process.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <sstream>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::base {
namespace {

constexpr const char* kEnded = "ended";

/// First line of a file of /proc; empty where there is none to read.
std::string system_line(const std::string& file) {
  try {
    const std::string text = read_file(file);
    return text.substr(0, text.find('\n'));
  } catch (const Error&) {
    return {};
  }
}

std::string this_machine() {
  const std::string boot = system_line("/proc/sys/kernel/random/boot_id");
  std::array<char, 64> space{};
  const auto length = ::readlink("/proc/self/ns/pid", space.data(), space.size() - 1);
  return boot.empty() || length <= 0 ? std::string() : boot + " " + space.data();
}

/// Empty where it cannot be read, kEnded of a process that only waits to be collected.
std::string start_of(std::int64_t number) {
  const std::string facts = system_line("/proc/" + std::to_string(number) + "/stat");
  // The second field is the program's name in parentheses, which may hold anything.
  const auto name_end = facts.rfind(')');
  if (name_end == std::string::npos) {
    return {};
  }
  std::istringstream fields(facts.substr(name_end + 1));
  std::string field;
  for (int place = 3; place <= 22 && fields >> field; ++place) {
    if (place == 3 && (field == "Z" || field == "X")) {
      return kEnded;
    }
  }
  return fields ? field : std::string();
}

}  // namespace

Process this_process() {
  return {.machine = this_machine(), .number = ::getpid(), .start = start_of(::getpid())};
}

bool has_ended(const Process& process) {
  if (process.machine.empty() || process.number <= 0 || process.machine != this_machine()) {
    return false;
  }
  const std::string start = start_of(process.number);
  if (start.empty() || process.start.empty()) {
    // Other users' processes may be hidden (mount option hidepid): no entry in /proc is no proof.
    return ::kill(static_cast<pid_t>(process.number), 0) != 0 && errno == ESRCH;
  }
  return start != process.start;
}

}  // namespace mgrn::base
