// SPDX-License-Identifier: Apache-2.0
// A stand-in for libnccl and libcudart, for machines without a GPU: device memory is the host's, ranks are
// threads or processes of one host, collectives really exchange data. As NCCL's non-blocking mode does, every
// operation first is in progress. It holds its caller to the order and lifetime of calls: what would be
// undefined, would leak or could block for ever on a GPU is recorded as a misuse. Faults are injected per
// thread, which is a rank.
#pragma once

#include <string>
#include <vector>

namespace mgrn::test::fake_gpu {

/// Where a fault strikes. `init`, `collective` and `finalize` have two moments: the call itself (fail_call)
/// and while it is in progress (fail_later, hang).
enum class Site {
  get_version,
  get_unique_id,
  init,
  collective,
  finalize,
  destroy,
  abort,
  set_device,
  allocate,
  copy
};

/// The calling thread sees these GPUs, in this order; a name fills the last bytes of a UUID (see uuid_of).
/// Four, "0" to "3", where nothing is said; $MGRN_FAKE_GPUS, separated by commas, says it for a process.
void show(const std::vector<std::string>& names);
std::string uuid_of(const std::string& name);

/// The next call at `site` by this thread returns `result`, an ncclResult_t or a cudaError_t.
void fail_call(Site site, int result);
/// The next operation at `site` by this thread starts well and ends with `result`.
void fail_later(Site site, int result);
/// The next operation at `site` by this thread never ends (and other ranks wait for it in vain). At `abort`:
/// ncclCommAbort of the communicator that this thread makes next does not return before let_aborts_end().
void hang(Site site);
void let_aborts_end();
/// What ncclGetVersion tells this thread.
void set_version(int version);
/// How often each operation of this thread is asked for before it may end; 2 where nothing is said.
void set_questions(int questions);
/// Undoes the above for this thread.
void reset_thread();

/// What was called since reset_report(), by all threads of the process, and what lives now.
struct Report {
  int inits = 0, collectives = 0, finalizes = 0, destroys = 0, aborts = 0;
  int communicators = 0, streams = 0, allocations = 0;  ///< alive
  std::vector<std::string> misuses;
};
Report report();
void reset_report();

}  // namespace mgrn::test::fake_gpu
