// SPDX-License-Identifier: Apache-2.0
// Ranks with a GPU each: reductions between the GPUs' own memories, over NCCL. NCCL and the CUDA runtime are
// opened when they are asked for; a build that found no nccl.h has the same functions, which say so.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/comm/gpu_binding.hpp"

namespace mgrn::comm {

/// A communicator that reaches into the ranks' GPUs. all_reduce() and broadcast() of the host's memory pass
/// over the GPUs too; all else (barrier, gathers, splits, shared memory) is the host communicator's, and so
/// are the communicators that split() makes.
class DeviceCommunicator : public Communicator {
 public:
  /// The GPU, as this rank numbers them.
  virtual int device() const = 0;
  /// Collective, in place, as all_reduce(): `values` lie in the memory of device(). What writes them must
  /// have ended before the call; they hold the result when it returns. CommunicationError on a failure of
  /// NCCL's and when the time limit passes; the communicator is aborted then, and every further call throws.
  virtual void all_reduce_on_device(std::span<std::int64_t> values, Reduction reduction) = 0;
  virtual void all_reduce_on_device(std::span<float> values, Reduction reduction) = 0;
  /// Collective. Ends the communicator in order, with the errors of its end; no other call may follow. The
  /// destructor does the same but only logs them, and aborts instead while an exception is leaving.
  virtual void close() = 0;
};

struct NcclOptions {
  int device = 0;
  /// Longest wait for one operation, the first one's connections included. Where the host's collectives are
  /// watched (watchdog.hpp) so are these: the watch, which can name the missing ranks, then speaks first, and
  /// NCCL's communicator is aborted a minute later.
  std::chrono::duration<double> time_limit{600};
  /// Longest wait for the abort of a communicator. One that hangs is left behind in a thread of its own, and
  /// the process ends without waiting for it.
  std::chrono::duration<double> abort_limit{10};
  /// Ranks may share a GPU: NCCL is told that each is on a host of its own (NCCL_HOSTID, unless it is set),
  /// since it refuses ranks of one host on one GPU. They then talk over sockets.
  GpuSharing sharing = GpuSharing::refused;
};

/// Collective over `host`, which must outlive the result. Throws UsageError where NCCL or the CUDA runtime is
/// missing or too old, or ranks have different versions of NCCL; CommunicationError where the ranks do not
/// connect. On every rank alike.
std::unique_ptr<DeviceCommunicator> make_nccl_communicator(Communicator& host, const NcclOptions& options);

/// Throws UsageError where NCCL or the CUDA runtime is missing or too old.
void require_nccl();

/// UUIDs of the GPUs that this process sees, by number; none where CUDA finds no device. Throws UsageError
/// where the CUDA runtime is missing or fails otherwise.
std::vector<std::string> visible_gpus();

/// "2.28.9, /usr/lib/libnccl.so.2", or what is missing; for `doctor`.
std::string describe_nccl();

}  // namespace mgrn::comm
