// SPDX-License-Identifier: Apache-2.0
// Who works on a task. The n-th attempt at a task begins with the exclusive creation of claims/n.json in its
// folder, which only one process can win, on a local disk as on NFS or Lustre; its modification time is the
// owner's heartbeat. A claim is never removed or taken over: the next attempt has a file of its own, so that
// two who both hold a claim for stale cannot both win. Not collective: one rank per group calls this.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace mgrn::experiments {

inline constexpr double kHeartbeatSeconds = 10;
inline constexpr double kStaleSeconds = 60;

struct Claimant {
  std::string host = {};
  std::string process = {};  ///< boot, PID namespace, PID and start time: one process of one running kernel
  std::string slurm_job = {};
  std::string slurm_restart = {};  ///< how often Slurm has requeued the job
  std::string launch = {};         ///< the same for all ranks of one `grid run`
};

/// This process.
Claimant this_claimant(const std::string& launch);

/// What staleness is judged by; tests put their own clock and cluster here.
struct ClaimEvidence {
  /// Seconds since the claim's heartbeat, by the clock of the file system that holds it.
  std::function<double(const std::filesystem::path& claim)> heartbeat_age;
  /// Whether it is certain that the process has ended. Never certain for a process of another host.
  std::function<bool(const Claimant& owner)> process_gone;
  /// Whether it is certain that the Slurm job has ended or was requeued since.
  std::function<bool(const Claimant& owner)> slurm_job_gone;
};
ClaimEvidence system_evidence();

/// Stale: the heartbeat is older than kStaleSeconds; or the owner's Slurm job is gone, which is asked once a
/// heartbeat has been missed; or the owner ran on this very kernel and is gone.
bool is_stale(const std::filesystem::path& claim, const Claimant& owner, const ClaimEvidence& evidence);

std::filesystem::path claim_file(const std::filesystem::path& task, int attempt);
/// Number of the last attempt, 0: none yet.
int last_attempt(const std::filesystem::path& task);
/// The owner; empty fields where the file does not say yet (it is being written) or is damaged.
Claimant read_claim(const std::filesystem::path& task, int attempt);
/// True for the one caller that wins the attempt. Throws OutputError.
bool create_claim(const std::filesystem::path& task, int attempt, const Claimant& owner);

/// Keeps a claim alive from a thread of its own while the task runs, and notices when another attempt has
/// begun because this process slept too long: then `lost()` is true and the program is asked to stop.
class Heartbeat {
 public:
  Heartbeat(const std::filesystem::path& task, int attempt, double period_s = kHeartbeatSeconds);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  bool lost() const { return lost_; }

 private:
  void beat();

  std::filesystem::path claim_;
  std::filesystem::path next_claim_;
  std::atomic<bool> lost_ = false;
  bool ended_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace mgrn::experiments
