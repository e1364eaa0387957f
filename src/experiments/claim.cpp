// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/claim.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/environment.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/base/process.hpp"
#include "multigrnformer/base/stop_signal.hpp"
#include "multigrnformer/comm/topology.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;

constexpr double kMissedSeconds = 2 * kHeartbeatSeconds;
constexpr double kSlurmAnswerSeconds = 30;  // how long an answer of squeue is good for

/// As it stands in a claim.
std::string text_of(const base::Process& process) {
  return process.machine.empty()
             ? std::string()
             : process.machine + " " + std::to_string(process.number) + " " + process.start;
}

bool ended_here(const Claimant& owner) {
  const std::string& text = owner.process;
  const auto start = text.rfind(' ');
  const auto number = start == std::string::npos || start == 0 ? start : text.rfind(' ', start - 1);
  if (number == std::string::npos || number == start) {
    return false;
  }
  return base::has_ended({.machine = text.substr(0, number),
                          .number = std::strtoll(text.c_str() + number, nullptr, 10),
                          .start = text.substr(start + 1)});
}

/// State of a job after squeue, "" when Slurm does not know it any more, "?" when it cannot be asked.
std::string slurm_state(const std::string& job) {
  if (job.empty() || job.find_first_not_of("0123456789") != std::string::npos) {
    return "?";
  }
  FILE* pipe = ::popen(("timeout 20 squeue --noheader --format=%T --jobs=" + job + " 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    return "?";
  }
  std::string answer;
  std::array<char, 256> block{};
  while (const auto length = std::fread(block.data(), 1, block.size(), pipe)) {
    answer.append(block.data(), length);
  }
  const int status = ::pclose(pipe);
  if (status == 0) {
    return answer.substr(0, answer.find('\n'));
  }
  return answer.find("Invalid job id") != std::string::npos ? "" : "?";
}

/// Answers are kept a while: many claims may be of one job, and slurmctld is everybody's.
class SlurmJobs {
 public:
  bool gone(const Claimant& owner) {
    if (owner.slurm_job.empty()) {
      return false;
    }
    // This very job, requeued: the claim is of its former life.
    if (owner.slurm_job == base::environment(base::Variable::slurm_job).value_or("")) {
      return owner.slurm_restart != base::environment(base::Variable::slurm_restarts).value_or("");
    }
    const auto now = std::chrono::steady_clock::now();
    const auto [place, is_new] = answers_.try_emplace(owner.slurm_job);
    auto& answer = place->second;
    if (is_new || std::chrono::duration<double>(now - answer.when).count() > kSlurmAnswerSeconds) {
      answer = {now, slurm_state(owner.slurm_job)};
    }
    constexpr const char* kAlive[] = {"?",       "RUNNING",   "COMPLETING",  "SUSPENDED",
                                      "STOPPED", "SIGNALING", "CONFIGURING", "STAGE_OUT"};
    return std::find(std::begin(kAlive), std::end(kAlive), answer.state) == std::end(kAlive);
  }

 private:
  struct Answer {
    std::chrono::steady_clock::time_point when = {};
    std::string state = {};
  };
  std::map<std::string, Answer> answers_;
};

double modification_time(const struct stat& file) {
  return static_cast<double>(file.st_mtim.tv_sec) + 1e-9 * static_cast<double>(file.st_mtim.tv_nsec);
}

/// By the clock of the file system, which need not be this host's: the time that a file touched now gets.
double age_on_disk(const fs::path& claim) {
  struct stat file {};
  if (::stat(claim.c_str(), &file) != 0) {
    return 0;
  }
  const std::string probe =
      (claim.parent_path() / (".clock-" + comm::host_name() + "-" + std::to_string(::getpid()))).string();
  const int descriptor = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  double now = 0;
  struct stat touched {};
  if (descriptor >= 0) {
    if (::futimens(descriptor, nullptr) == 0 && ::fstat(descriptor, &touched) == 0) {
      now = modification_time(touched);
    }
    ::close(descriptor);
    ::unlink(probe.c_str());
  }
  if (now == 0) {  // a folder that may only be read (`grid status` of somebody else's grid)
    now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  }
  return now - modification_time(file);
}

constexpr int kAttemptDigits = 6;

}  // namespace

Claimant this_claimant(const std::string& launch) {
  return {.host = comm::host_name(),
          .process = text_of(base::this_process()),
          .slurm_job = base::environment(base::Variable::slurm_job).value_or(""),
          .slurm_restart = base::environment(base::Variable::slurm_restarts).value_or(""),
          .launch = launch};
}

ClaimEvidence system_evidence() {
  const auto jobs = std::make_shared<SlurmJobs>();
  return {.heartbeat_age = age_on_disk,
          .process_gone = ended_here,
          .slurm_job_gone = [jobs](const Claimant& owner) { return jobs->gone(owner); }};
}

bool is_stale(const fs::path& claim, const Claimant& owner, const ClaimEvidence& evidence) {
  if (evidence.process_gone(owner)) {
    return true;
  }
  const double age = evidence.heartbeat_age(claim);
  return age > kStaleSeconds || (age > kMissedSeconds && evidence.slurm_job_gone(owner));
}

fs::path claim_file(const fs::path& task, int attempt) {
  std::string number = std::to_string(attempt);
  number.insert(0, number.size() < kAttemptDigits ? kAttemptDigits - number.size() : 0, '0');
  return task / "claims" / (number + ".json");
}

int last_attempt(const fs::path& task) {
  int last = 0;
  std::error_code code;
  for (fs::directory_iterator entry(task / "claims", code), end; !code && entry != end;
       entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    if (name.size() == kAttemptDigits + 5 && name.find_first_not_of("0123456789") == kAttemptDigits) {
      last = std::max(last, std::atoi(name.c_str()));
    }
  }
  return last;
}

Claimant read_claim(const fs::path& task, int attempt) {
  base::Json json;
  try {
    json = base::Json::parse(base::read_file(claim_file(task, attempt)), nullptr, false);
  } catch (const base::DataError&) {
    return {};
  }
  if (!json.is_object()) {
    return {};
  }
  const auto text = [&](const char* key) {
    const auto place = json.find(key);
    return place != json.end() && place->is_string() ? place->get<std::string>() : std::string();
  };
  return {.host = text("host"),
          .process = text("process"),
          .slurm_job = text("slurm_job"),
          .slurm_restart = text("slurm_restart"),
          .launch = text("launch")};
}

bool create_claim(const fs::path& task, int attempt, const Claimant& owner) {
  base::create_directories(task / "claims");
  const fs::path file = claim_file(task, attempt);
  const auto refuse = [&] {
    throw base::OutputError({.what = "cannot claim a task",
                             .file = file.string(),
                             .got = std::strerror(errno),
                             .hint = "check that you may write there and that the disk is not full"});
  };
  const std::string text = base::json_text({{"host", owner.host},
                                            {"process", owner.process},
                                            {"slurm_job", owner.slurm_job},
                                            {"slurm_restart", owner.slurm_restart},
                                            {"launch", owner.launch}});
  // Whole before it has its name: a claim that was cut off between opening and writing would be nobody's, and
  // hold the task until it is stale. A name can be given once, also over NFS.
  std::string draft = (task / "claims" / ".claim-XXXXXX").string();
  const int descriptor = ::mkstemp(draft.data());
  if (descriptor < 0) {
    refuse();
  }
  const bool written = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fchmod(descriptor, 0644) == 0;
  if (::close(descriptor) != 0 || !written) {
    const int cause = errno;
    ::unlink(draft.c_str());
    errno = cause;
    refuse();
  }
  const bool named = ::link(draft.c_str(), file.c_str()) == 0;
  const int cause = errno;
  struct stat drafted {};
  // NFS may say that the name exists when an answer was lost and the request came twice.
  const bool mine = named || (::stat(draft.c_str(), &drafted) == 0 && drafted.st_nlink == 2);
  ::unlink(draft.c_str());
  if (!mine && cause != EEXIST) {
    errno = cause;
    refuse();
  }
  return mine;
}

Heartbeat::Heartbeat(const fs::path& task, int attempt, double period_s)
    : claim_(claim_file(task, attempt)), next_claim_(claim_file(task, attempt + 1)) {
  thread_ = std::thread([this, period_s] {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, std::chrono::duration<double>(period_s), [this] { return ended_; })) {
      beat();
    }
  });
}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Heartbeat::beat() {
  struct stat file {};
  const bool superseded = ::stat(next_claim_.c_str(), &file) == 0;
  const bool removed = !superseded && ::stat(claim_.c_str(), &file) != 0 && errno == ENOENT;
  if ((superseded || removed) && !lost_.exchange(true)) {
    base::warn(claim_.string() +
               (removed ? " was removed" : " was given to another run, after a long sleep") +
               ": this one stops");
    base::request_stop();
  }
  // A beat that fails (a full quota, a server that hangs) is made up for by the next.
  ::utimensat(AT_FDCWD, claim_.c_str(), nullptr, 0);
}

}  // namespace mgrn::experiments
