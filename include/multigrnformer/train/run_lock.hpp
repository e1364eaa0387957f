// SPDX-License-Identifier: Apache-2.0
// One job at a time works in a run's folder. DIR/.lock says who: host, process, Slurm job, and a count that
// its holder raises every some seconds. Where the file system has them, a kernel lock (flock) says it too.
//
// Who comes later is refused, unless the holder is certainly gone:
//   - the same machine (boot id and PID namespace): its process is gone, or another one has its number;
//   - a Slurm job that was requeued: its earlier start is over;
//   - any other machine: the count stands still while the newcomer watches. Process numbers of another
//   machine
//     say nothing, and neither do clocks: nothing is compared between hosts.
// A holder that was only suspended finds out before it writes again (require_held).
// Not collective: rank 0 holds it, one thread calls it; a thread of its own raises the count.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "multigrnformer/base/json_fwd.hpp"

namespace mgrn::train {

class RunLock {
 public:
  struct Timing {
    std::chrono::milliseconds beat{10'000};      ///< between raises of the count
    std::chrono::milliseconds patience{60'000};  ///< how long a count must stand still
    /// How long a holder on this machine is waited for: a launcher returns before all its ranks are gone.
    std::chrono::milliseconds leaving{10'000};
  };

  /// Takes the lock of the folder `run`, which exists. Throws UsageError, naming the holder, when another job
  /// works there; OutputError when the file cannot be written.
  explicit RunLock(const std::filesystem::path& run) : RunLock(run, Timing()) {}
  RunLock(const std::filesystem::path& run, Timing timing);
  /// Gives it back. The file stays, empty.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// Throws OutputError when another job has taken the folder over meanwhile.
  void require_held() const;

 private:
  void take(Timing timing);
  void require_gone(const base::Json& holder, Timing timing) const;
  void wait_for_kernel_lock(Timing timing);
  void write(std::int64_t count);
  bool is_mine() const;
  void beat(std::chrono::milliseconds interval);

  std::filesystem::path file_;
  std::string me_;  ///< what the file says but for the count, one line of JSON
  int descriptor_ = -1;
  bool kernel_lock_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread heart_;
};

}  // namespace mgrn::train
