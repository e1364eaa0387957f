// SPDX-License-Identifier: Apache-2.0
#include "program/background.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "support/time_limit.hpp"

namespace mgrn::test {

namespace fs = std::filesystem;

Background::Background(const std::string& command, const fs::path& log) : log_(log) {
  pid_ = ::fork();
  if (pid_ == 0) {
    ::setpgid(0, 0);
    const std::string line = "exec " + command + " >'" + log.string() + "' 2>&1 </dev/null";
    ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    ::_exit(127);
  }
  ::setpgid(pid_, pid_);
}

Background::~Background() {
  if (pid_ > 0 && status_ < 0) {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

std::string Background::output() const {
  std::ostringstream text;
  text << std::ifstream(log_, std::ios::binary).rdbuf();
  return text.str();
}

bool Background::ended() {
  return status_ >= 0 || ::waitpid(pid_, &status_, WNOHANG) == pid_;
}

int Background::wait() {
  if (status_ < 0) {
    ::waitpid(pid_, &status_, 0);
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

std::vector<pid_t> ranks_below(pid_t ancestor) {
  std::map<pid_t, pid_t> parents;
  std::set<pid_t> ours;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    std::ifstream status(entry.path() / "status");
    const pid_t pid = std::stoi(name);
    for (std::string line; std::getline(status, line);) {
      if (line.rfind("Name:", 0) == 0 && line.find("multigrnformer") != std::string::npos) {
        ours.insert(pid);
      } else if (line.rfind("PPid:", 0) == 0) {
        parents[pid] = std::stoi(line.substr(5));
      }
    }
  }
  std::vector<pid_t> found;
  for (const pid_t pid : ours) {
    for (pid_t at = pid; parents.contains(at); at = parents[at]) {
      if (parents[at] == ancestor) {
        found.push_back(pid);
        break;
      }
    }
  }
  return found;
}

bool wait_until(const std::function<bool()>& condition, double seconds) {
  const auto start = std::chrono::steady_clock::now();
  while (!condition()) {
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() >
        time_limit(seconds)) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace mgrn::test
