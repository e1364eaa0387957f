// SPDX-License-Identifier: Apache-2.0
// A library to be preloaded (LD_PRELOAD) that stands between a program and the calls by which it changes
// files: it counts those under one folder, and at the n-th lets the disk fail, the process die or the call
// wait. Told by the environment:
//   MGRN_FAULT_UNDER   part of a path; calls on other paths pass and are not counted. Unset: all pass
//   MGRN_FAULT_AT      n, from 1; 0 or unset: count only
//   MGRN_FAULT_ACTION  kill: SIGKILL before the call
//                      torn: a write writes half, then SIGKILL; else as kill
//                      power: SIGKILL, and every file that was not flushed loses half of its bytes
//                      hold: the call waits until the file MGRN_FAULT_GATE is there; after a minute it fails
//                      ENOSPC, EDQUOT, EIO, EROFS, EACCES: the call fails with it
//   MGRN_FAULT_STICKY  1: so do all later calls but those that remove
//   MGRN_FAULT_LOG     file that gets a line per counted call: number, name, path, and a rename's target
// Read at the first call, and again at mgrn_fault_arm(), for tests that fork.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <string>

namespace {

struct Plan {
  std::string under;
  long at = 0;
  std::string action;
  bool sticky = false;
  std::string log;
  std::string gate;
};

struct State {
  std::recursive_mutex mutex;
  bool armed = false;
  Plan plan;
  long count = 0;
  std::set<std::string> unflushed;
};

// Never destroyed: other libraries write until the very end.
State& state() {
  static State* const made = new State;
  return *made;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

void arm(State& s) {
  s.armed = true;
  s.count = 0;
  s.unflushed.clear();
  s.plan = {.under = variable("MGRN_FAULT_UNDER"),
            .at = std::atol(variable("MGRN_FAULT_AT").c_str()),
            .action = variable("MGRN_FAULT_ACTION"),
            .sticky = variable("MGRN_FAULT_STICKY") == "1",
            .log = variable("MGRN_FAULT_LOG"),
            .gate = variable("MGRN_FAULT_GATE")};
}

// The real function of this name; calls made from here do not come back here.
template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::string path_of(int descriptor) {
  char target[PATH_MAX];
  const auto link = "/proc/self/fd/" + std::to_string(descriptor);
  const auto length = ::readlink(link.c_str(), target, sizeof target);
  return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : std::string();
}

std::string path_at(int folder, const char* path) {
  if (path[0] == '/' || folder == AT_FDCWD) {
    return path;
  }
  return path_of(folder) + "/" + path;
}

int error_named(const std::string& name) {
  return name == "ENOSPC"   ? ENOSPC
         : name == "EDQUOT" ? EDQUOT
         : name == "EIO"    ? EIO
         : name == "EROFS"  ? EROFS
         : name == "EACCES" ? EACCES
                            : 0;
}

[[noreturn]] void die() {
  ::syscall(SYS_kill, ::getpid(), SIGKILL);
  for (;;) {
    ::pause();
  }
}

void lose_unflushed(const State& s) {
  for (const auto& path : s.unflushed) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode)) {
      static_cast<void>(::truncate(path.c_str(), facts.st_size / 2));
    }
  }
}

void note(const State& s, const char* name, const std::string& path, const std::string& target) {
  if (s.plan.log.empty()) {
    return;
  }
  const std::string line = std::to_string(s.count) + " " + name + " " + path +
                           (target.empty() ? std::string() : " " + target) + "\n";
  const auto file = static_cast<int>(
      ::syscall(SYS_openat, AT_FDCWD, s.plan.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (file >= 0) {
    static_cast<void>(::syscall(SYS_write, file, line.data(), line.size()));
    ::syscall(SYS_close, file);
  }
}

/// What a call is to do: 0 go on, an errno, or kTear.
constexpr int kTear = -1;
constexpr int kMostWait_ms = 60000;

int verdict(const char* name, const std::string& path, const std::string& target = {}, bool removes = false) {
  State& s = state();
  std::string gate;
  {
    const std::lock_guard lock(s.mutex);
    if (!s.armed) {
      arm(s);
    }
    if (s.plan.under.empty() ||
        (path.find(s.plan.under) == std::string::npos && target.find(s.plan.under) == std::string::npos)) {
      return 0;
    }
    ++s.count;
    note(s, name, path, target);
    const bool now = s.count == s.plan.at;
    const bool later = s.plan.sticky && s.plan.at > 0 && s.count > s.plan.at && !removes;
    if (!now && !later) {
      return 0;
    }
    const std::string& action = s.plan.action;
    if (action == "kill") {
      die();
    }
    if (action == "power") {
      lose_unflushed(s);
      die();
    }
    if (action == "torn") {
      return kTear;
    }
    if (action != "hold") {
      return error_named(action);
    }
    gate = s.plan.gate;
  }
  for (int wait = 0; wait < kMostWait_ms; ++wait) {
    if (::syscall(SYS_access, gate.c_str(), F_OK) == 0) {
      return 0;
    }
    ::usleep(1000);
  }
  return ETIMEDOUT;
}

void wrote(const std::string& path) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.unflushed.insert(path);
}

void flushed(const std::string& path) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.unflushed.erase(path);
}

void moved(const std::string& from, const std::string& to) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  std::set<std::string> now;
  for (const auto& path : s.unflushed) {
    now.insert(path == from || path.rfind(from + "/", 0) == 0 ? to + path.substr(from.size()) : path);
  }
  s.unflushed = std::move(now);
}

/// True when the call fails; errno then says why.
bool fails(int decision) {
  if (decision == kTear) {
    die();
  }
  if (decision != 0) {
    errno = decision;
  }
  return decision != 0;
}

int open_by(int folder, const char* path, int flags, mode_t mode) {
  const std::string full = path_at(folder, path);
  const bool changes = (flags & O_ACCMODE) != O_RDONLY;
  if (fails(verdict(changes ? "create" : "open", full, {}, !changes))) {
    return -1;
  }
  const auto descriptor = real<int(int, const char*, int, ...)>("openat")(folder, path, flags, mode);
  if (descriptor >= 0 && (flags & O_TRUNC) != 0) {
    wrote(full);
  }
  return descriptor;
}

mode_t mode_behind(int flags, va_list list) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(list, int)) : mode_t{0};
}

FILE* fopen_by(const char* name, const char* path, const char* mode) {
  const bool changes = std::strpbrk(mode, "wa+") != nullptr;
  if (fails(verdict(changes ? "create" : "open", path, {}, !changes))) {
    return nullptr;
  }
  FILE* const file = real<FILE*(const char*, const char*)>(name)(path, mode);
  if (file != nullptr && changes) {
    wrote(path);
  }
  return file;
}

int sync_by(const char* name, int descriptor) {
  const std::string path = path_of(descriptor);
  if (fails(verdict(name, path))) {
    return -1;
  }
  const int result = real<int(int)>(name)(descriptor);
  if (result == 0) {
    flushed(path);
  }
  return result;
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) void mgrn_fault_arm() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  arm(s);
}

#define MGRN_OPEN(name)                                                               \
  __attribute__((visibility("default"))) int name(const char* path, int flags, ...) { \
    va_list list;                                                                     \
    va_start(list, flags);                                                            \
    const mode_t mode = mode_behind(flags, list);                                     \
    va_end(list);                                                                     \
    return open_by(AT_FDCWD, path, flags, mode);                                      \
  }
MGRN_OPEN(open)
MGRN_OPEN(open64)

#define MGRN_OPENAT(name)                                                                         \
  __attribute__((visibility("default"))) int name(int folder, const char* path, int flags, ...) { \
    va_list list;                                                                                 \
    va_start(list, flags);                                                                        \
    const mode_t mode = mode_behind(flags, list);                                                 \
    va_end(list);                                                                                 \
    return open_by(folder, path, flags, mode);                                                    \
  }
MGRN_OPENAT(openat)
MGRN_OPENAT(openat64)

__attribute__((visibility("default"))) FILE* fopen(const char* path, const char* mode) {
  return fopen_by("fopen", path, mode);
}
__attribute__((visibility("default"))) FILE* fopen64(const char* path, const char* mode) {
  return fopen_by("fopen64", path, mode);
}

__attribute__((visibility("default"))) ssize_t write(int descriptor, const void* bytes, size_t count) {
  const auto go_on = real<ssize_t(int, const void*, size_t)>("write");
  const std::string path = path_of(descriptor);
  const int decision = verdict("write", path);
  if (decision == kTear) {
    static_cast<void>(go_on(descriptor, bytes, count / 2));
    die();
  }
  if (fails(decision)) {
    return -1;
  }
  wrote(path);
  return go_on(descriptor, bytes, count);
}

__attribute__((visibility("default"))) ssize_t writev(int descriptor, const struct iovec* parts, int count) {
  const std::string path = path_of(descriptor);
  const int decision = verdict("write", path);
  if (decision == kTear && count > 0) {
    static_cast<void>(real<ssize_t(int, const void*, size_t)>("write")(descriptor, parts[0].iov_base,
                                                                       parts[0].iov_len / 2));
    die();
  }
  if (fails(decision)) {
    return -1;
  }
  wrote(path);
  return real<ssize_t(int, const struct iovec*, int)>("writev")(descriptor, parts, count);
}

__attribute__((visibility("default"))) int fsync(int descriptor) {
  return sync_by("fsync", descriptor);
}
__attribute__((visibility("default"))) int fdatasync(int descriptor) {
  return sync_by("fdatasync", descriptor);
}

__attribute__((visibility("default"))) int rename(const char* from, const char* to) {
  if (fails(verdict("rename", from, to))) {
    return -1;
  }
  const int result = real<int(const char*, const char*)>("rename")(from, to);
  if (result == 0) {
    moved(from, to);
  }
  return result;
}

__attribute__((visibility("default"))) int mkdir(const char* path, mode_t mode) {
  return fails(verdict("mkdir", path)) ? -1 : real<int(const char*, mode_t)>("mkdir")(path, mode);
}

__attribute__((visibility("default"))) int unlink(const char* path) {
  if (fails(verdict("unlink", path, {}, true))) {
    return -1;
  }
  flushed(path);
  return real<int(const char*)>("unlink")(path);
}

__attribute__((visibility("default"))) int unlinkat(int folder, const char* path, int flags) {
  const std::string full = path_at(folder, path);
  if (fails(verdict("unlink", full, {}, true))) {
    return -1;
  }
  flushed(full);
  return real<int(int, const char*, int)>("unlinkat")(folder, path, flags);
}

__attribute__((visibility("default"))) int rmdir(const char* path) {
  return fails(verdict("unlink", path, {}, true)) ? -1 : real<int(const char*)>("rmdir")(path);
}

__attribute__((visibility("default"))) int remove(const char* path) {
  if (fails(verdict("unlink", path, {}, true))) {
    return -1;
  }
  flushed(path);
  return real<int(const char*)>("remove")(path);
}

}  // extern "C"
