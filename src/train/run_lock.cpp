// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/run_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/environment.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/base/process.hpp"
#include "multigrnformer/comm/topology.hpp"
#include "multigrnformer/train/run_folder.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;
using base::Json;
using std::chrono::milliseconds;

constexpr const char* kCount = "count";
// Time in which a file that is written at this moment becomes whole, and two newcomers see one another.
constexpr milliseconds kMoment{100};

std::int64_t restarts(const std::optional<std::string>& text) {
  return text ? std::strtoll(text->c_str(), nullptr, 10) : 0;
}

Json this_job() {
  const base::Process me = base::this_process();
  return {{"host", comm::host_name()},
          {"machine", me.machine},
          {"process", me.number},
          {"process_start", me.start},
          {"since", timestamp()},
          {"slurm_job", base::environment(base::Variable::slurm_job).value_or("")},
          {"slurm_restarts", restarts(base::environment(base::Variable::slurm_restarts))}};
}

// The lock as it stands: null when nobody holds it; {} when it says nothing that can be understood.
Json read_holder(const fs::path& file) {
  for (int attempt = 0;; ++attempt) {
    std::string text;
    if (fs::exists(file)) {
      text = base::read_file(file);
    }
    if (text.empty()) {
      return nullptr;
    }
    Json holder = Json::parse(text, nullptr, false);
    if (holder.is_object()) {
      return holder;
    }
    if (attempt == 5) {
      return Json::object();
    }
    std::this_thread::sleep_for(kMoment);  // perhaps it is just being written
  }
}

std::string text_at(const Json& holder, const char* key) {
  const auto entry = holder.find(key);
  return entry != holder.end() && entry->is_string() ? entry->get<std::string>() : std::string();
}
std::int64_t number_at(const Json& holder, const char* key) {
  const auto entry = holder.find(key);
  return entry != holder.end() && entry->is_number_integer() ? entry->get<std::int64_t>() : -1;
}

std::string described(const Json& holder) {
  if (!holder.is_object() || holder.empty()) {
    return "a job that does not say who it is";
  }
  const std::string job = text_at(holder, "slurm_job");
  return "process " + std::to_string(number_at(holder, "process")) + " on " + text_at(holder, "host") +
         (job.empty() ? std::string() : " of Slurm job " + job) + ", since " + text_at(holder, "since");
}

[[noreturn]] void refuse(const fs::path& file, const Json& holder) {
  throw base::UsageError({.what = "another job works in this folder",
                          .file = file.parent_path().string(),
                          .expected = "a folder in which nobody works",
                          .got = described(holder),
                          .hint = "wait for that job, stop it, or choose another folder with --out"});
}

[[noreturn]] void throw_output(const fs::path& file, const char* what) {
  throw base::OutputError({.what = what,
                           .file = file.string(),
                           .got = std::strerror(errno),
                           .hint = "check that you may write in this folder, and the space there"});
}

}  // namespace

RunLock::RunLock(const fs::path& run, Timing timing)
    : file_(run / ".lock"), me_(base::json_line(this_job())) {
  descriptor_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    throw_output(file_, "cannot open the lock of the run");
  }
  try {
    take(timing);
    heart_ = std::thread([this, interval = timing.beat] { beat(interval); });
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

RunLock::~RunLock() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  heart_.join();
  if (is_mine() && ::ftruncate(descriptor_, 0) != 0) {
    base::warn("the lock " + file_.string() + " cannot be given back: " + std::strerror(errno));
  }
  ::close(descriptor_);
}

void RunLock::take(Timing timing) {
  wait_for_kernel_lock(timing);
  // Elsewhere (Lustre without flock, say) the file alone must do.
  if (const Json holder = read_holder(file_); !holder.is_null()) {
    require_gone(holder, timing);
    base::info("the job that worked in " + file_.parent_path().string() +
               " before has ended without saying so: " + described(holder));
  }
  write(0);
  if (!kernel_lock_) {
    std::this_thread::sleep_for(kMoment);
    if (!is_mine()) {
      refuse(file_, read_holder(file_));  // two came at once: the other was the last to write
    }
  }
}

// Sets kernel_lock_; it stays false where the file system has no such locks.
void RunLock::wait_for_kernel_lock(Timing timing) {
  const auto end = std::chrono::steady_clock::now() + timing.leaving;
  while (!(kernel_lock_ = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) && errno == EWOULDBLOCK) {
    if (std::chrono::steady_clock::now() >= end) {
      refuse(file_, read_holder(file_));
    }
    std::this_thread::sleep_for(kMoment);
  }
}

void RunLock::require_gone(const Json& holder, Timing timing) const {
  const Json me = Json::parse(me_);
  const std::string here = text_at(me, "machine");
  if (!here.empty() && text_at(holder, "machine") == here) {
    const base::Process process{
        .machine = here, .number = number_at(holder, "process"), .start = text_at(holder, "process_start")};
    const auto end = std::chrono::steady_clock::now() + timing.leaving;
    for (;;) {
      if (base::has_ended(process) || read_holder(file_).is_null()) {
        return;
      }
      if (std::chrono::steady_clock::now() >= end) {
        refuse(file_, holder);
      }
      std::this_thread::sleep_for(kMoment);
    }
  }
  const std::string job = text_at(me, "slurm_job");
  if (!job.empty() && job == text_at(holder, "slurm_job") &&
      number_at(holder, "slurm_restarts") < number_at(me, "slurm_restarts")) {
    return;
  }
  base::info("the folder is locked by " + described(holder) + "; watching for " +
             std::to_string(timing.patience.count() / 1000) + " s whether it is still at work");
  const auto end = std::chrono::steady_clock::now() + timing.patience;
  while (std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::min(timing.patience / 10, milliseconds(1000)));
    const Json now = read_holder(file_);
    if (now.is_null()) {
      return;  // given back meanwhile
    }
    if (now != holder) {
      refuse(file_, now);
    }
  }
}

void RunLock::write(std::int64_t count) {
  Json content = Json::parse(me_);
  content[kCount] = count;
  const std::string text = base::json_line(content) + "\n";
  // Over what stands there, then cut: the file is at no moment empty, which would mean free.
  if (::pwrite(descriptor_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ::ftruncate(descriptor_, static_cast<off_t>(text.size())) != 0 ||
      (::fsync(descriptor_) != 0 && errno != EINVAL)) {
    throw_output(file_, "cannot write the lock of the run");
  }
}

bool RunLock::is_mine() const {
  Json holder = read_holder(file_);
  if (!holder.is_object()) {
    return false;
  }
  holder.erase(kCount);
  return base::json_line(holder) == me_;
}

void RunLock::require_held() const {
  if (!is_mine()) {
    throw base::OutputError({.what = "another job has taken this folder over while this one stood still",
                             .file = file_.parent_path().string(),
                             .expected = "this job's lock",
                             .got = described(read_holder(file_)),
                             .hint = "let that job go on; it started from this one's newest checkpoint"});
  }
}

void RunLock::beat(milliseconds interval) {
  std::unique_lock lock(mutex_);
  bool told = false;
  for (std::int64_t count = 1; !wake_.wait_for(lock, interval, [this] { return ending_; }); ++count) {
    try {
      if (!is_mine()) {
        return;  // require_held() says it
      }
      write(count);
    } catch (const base::Error& error) {
      if (!std::exchange(told, true)) {
        base::warn("the lock cannot be renewed, another job may take this folder over: " + error.text().got);
      }
    }
  }
}

}  // namespace mgrn::train
