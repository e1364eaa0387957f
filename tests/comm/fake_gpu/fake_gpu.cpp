// SPDX-License-Identifier: Apache-2.0
#include "fake_gpu.hpp"

#include <cuda_runtime.h>
#include <fcntl.h>
#include <nccl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>

namespace fake = mgrn::test::fake_gpu;
using fake::Site;

namespace {

// ---- what is injected, and what is recorded ------------------------------------------------------------

struct Thread {
  std::optional<std::vector<std::string>> gpus;
  std::map<Site, int> fail_call, fail_later;
  std::set<Site> hang;
  int version = 22809;
  int questions = 2;
  int device = 0;
};
thread_local Thread thread;

std::mutex mutex;  // of all below; the regions that ranks share have atomics instead
fake::Report recorded;
std::condition_variable aborts_may_end;
std::uint64_t aborts_let_end = 0;  // by so many calls of let_aborts_end()

void misuse(const std::string& what) {
  recorded.misuses.push_back(what);
}

std::optional<int> taken(std::map<Site, int>& faults, Site site) {
  const auto fault = faults.find(site);
  if (fault == faults.end()) return std::nullopt;
  const int result = fault->second;
  faults.erase(fault);
  return result;
}

std::vector<std::string> gpus_of_thread() {
  if (thread.gpus) return *thread.gpus;
  std::vector<std::string> names;
  if (const char* list = std::getenv("MGRN_FAKE_GPUS"); list != nullptr) {
    std::string name;
    for (const char* letter = list;; ++letter) {
      if (*letter != ',' && *letter != '\0') {
        name += *letter;
        continue;
      }
      if (!name.empty()) names.push_back(std::exchange(name, {}));
      if (*letter == '\0') return names;
    }
  }
  return {"0", "1", "2", "3"};
}

void write_uuid(const std::string& name, char* bytes) {
  std::memset(bytes, 0, 16);
  const std::size_t length = std::min<std::size_t>(name.size(), 16);
  std::memcpy(bytes + 16 - length, name.data(), length);
}

// ---- what ranks share ------------------------------------------------------------------------------------

constexpr int kMostRanks = 16;
constexpr std::size_t kSlot = std::size_t{32} << 20;  // most bytes of one operation; pages appear as written

struct Call {
  std::uint32_t kind, type, operation, root;
  std::uint64_t bytes;
  bool operator==(const Call&) const = default;
};

struct Region {
  std::atomic<int> joined, finalized;
  std::atomic<std::uint64_t> written[kMostRanks], read[kMostRanks];  // operations, from 1
  Call calls[kMostRanks];
  char places[kMostRanks][96];  // host id and GPU
};
constexpr std::size_t kHeader = (sizeof(Region) + 4095) / 4096 * 4096;

struct Operation {
  Call call;
  const void* from;
  void* to;
  std::uint64_t number;
  bool posted = false;
  int questions;
  bool hangs = false;
  std::optional<int> fails;
};

}  // namespace

struct CUstream_st {
  int device;
  std::deque<std::pair<ncclComm_t, Operation>> pending;
};

struct ncclComm {
  int rank = 0, ranks = 0, device = 0;
  Region* region = nullptr;
  std::size_t bytes = 0;
  ncclResult_t state = ncclInProgress;
  enum class Phase { joining, open, finalizing, finalized, failed } phase = Phase::joining;
  bool announced = false;  // joined or finalized, as far as the others see
  int questions = 0;
  bool hangs = false;
  bool hangs_in_abort = false;
  std::optional<int> fails;
  std::uint64_t operations = 0;
  std::set<cudaStream_t> streams;
  std::string last_error;
};

namespace {

std::set<ncclComm_t> communicators;
std::set<cudaStream_t> streams;
std::set<void*> allocations;

char* slot(ncclComm_t comm, int rank) {
  return reinterpret_cast<char*>(comm->region) + kHeader + static_cast<std::size_t>(rank) * kSlot;
}

void give_up(ncclComm_t comm, int result, const std::string& why) {
  comm->state = static_cast<ncclResult_t>(result);
  comm->phase = ncclComm::Phase::failed;
  comm->last_error = why;
}

std::size_t size_of(std::uint32_t type) {
  return type == ncclUint8 ? 1 : type == ncclFloat32 ? 4 : 8;
}

template <typename T>
void combine(ncclComm_t comm, const Call& call, T* to) {
  const std::size_t count = call.bytes / sizeof(T);
  for (std::size_t i = 0; i < count; ++i) {
    T total = reinterpret_cast<const T*>(slot(comm, 0))[i];
    for (int rank = 1; rank < comm->ranks; ++rank) {
      const T value = reinterpret_cast<const T*>(slot(comm, rank))[i];
      if (call.operation == ncclMax) {
        total = std::max(total, value);
      } else if (call.operation == ncclMin) {
        total = std::min(total, value);
      } else if constexpr (std::is_integral_v<T>) {
        total = static_cast<T>(static_cast<std::uint64_t>(total) + static_cast<std::uint64_t>(value));
      } else {
        total += value;
      }
    }
    to[i] = total;
  }
}

constexpr std::uint32_t kAllReduce = 1, kBroadcast = 2;

/// Whether the operation is over; its communicator's state says how.
bool advance(ncclComm_t comm, Operation& operation) {
  if (comm->phase == ncclComm::Phase::failed) return true;
  if (operation.hangs || --operation.questions >= 0) return false;
  if (operation.fails) {
    give_up(comm, *operation.fails, "injected while it ran");
    return true;
  }
  Region& region = *comm->region;
  const auto everyone = [&](const std::atomic<std::uint64_t>* counts, std::uint64_t number) {
    return std::all_of(counts, counts + comm->ranks, [&](const auto& count) { return count >= number; });
  };
  if (!operation.posted) {
    // Nobody may still be reading what the last operation left.
    if (!everyone(region.read, operation.number - 1)) return false;
    region.calls[comm->rank] = operation.call;
    std::memcpy(slot(comm, comm->rank), operation.from, operation.call.bytes);
    region.written[comm->rank] = operation.number;
    operation.posted = true;
  }
  if (!everyone(region.written, operation.number)) return false;
  for (int rank = 0; rank < comm->ranks; ++rank) {
    if (!(region.calls[rank] == operation.call)) misuse("ranks entered different collectives");
  }
  if (operation.call.kind == kBroadcast) {
    std::memcpy(operation.to, slot(comm, static_cast<int>(operation.call.root)), operation.call.bytes);
  } else if (operation.call.type == ncclInt64) {
    combine(comm, operation.call, static_cast<std::int64_t*>(operation.to));
  } else if (operation.call.type == ncclFloat32) {
    combine(comm, operation.call, static_cast<float*>(operation.to));
  } else {
    combine(comm, operation.call, static_cast<double*>(operation.to));
  }
  region.read[comm->rank] = operation.number;
  return true;
}

bool advance(cudaStream_t stream) {
  while (!stream->pending.empty()) {
    auto& [comm, operation] = stream->pending.front();
    if (!advance(comm, operation)) return false;
    stream->pending.pop_front();
  }
  return true;
}

/// Joining and finalising, which go on by being asked about.
void advance(ncclComm_t comm) {
  const bool joining = comm->phase == ncclComm::Phase::joining;
  if (!joining && comm->phase != ncclComm::Phase::finalizing) {
    if (comm->state == ncclInProgress && --comm->questions < 0) comm->state = ncclSuccess;
    return;
  }
  if (comm->hangs || --comm->questions >= 0) return;
  if (comm->fails) {
    give_up(comm, *comm->fails, joining ? "injected while connecting" : "injected while finalising");
    return;
  }
  std::atomic<int>& count = joining ? comm->region->joined : comm->region->finalized;
  if (!comm->announced) {
    comm->announced = true;
    ++count;
  }
  if (count < comm->ranks) return;
  if (joining) {
    for (int rank = 0; rank < comm->ranks; ++rank) {
      if (rank != comm->rank &&
          std::strcmp(comm->region->places[rank], comm->region->places[comm->rank]) == 0) {
        give_up(comm, ncclInvalidUsage, "Duplicate GPU detected");
        return;
      }
    }
  }
  comm->phase = joining ? ncclComm::Phase::open : ncclComm::Phase::finalized;
  comm->announced = false;
  comm->state = ncclSuccess;
}

bool alive(ncclComm_t comm, const char* call) {
  if (communicators.count(comm) != 0) return true;
  misuse(std::string(call) + " on a communicator that is gone");
  return false;
}

/// A call that begins something: on an open communicator, at rest, with its device selected.
bool may_begin(ncclComm_t comm, const char* call) {
  if (!alive(comm, call)) return false;
  if (comm->state != ncclSuccess || comm->phase != ncclComm::Phase::open) {
    misuse(std::string(call) + " while another operation is in progress, or after the end");
    return false;
  }
  if (comm->device != thread.device) {
    misuse(std::string(call) + " with another device selected");
    return false;
  }
  return true;
}

void end(ncclComm_t comm) {
  for (const cudaStream_t stream : comm->streams) {
    if (streams.count(stream) == 0) {
      misuse("a stream was destroyed before the communicator that used it");
      continue;
    }
    std::erase_if(stream->pending, [&](const auto& entry) { return entry.first == comm; });
  }
  munmap(static_cast<void*>(comm->region), comm->bytes);
  communicators.erase(comm);
  delete comm;
}

ncclResult_t begin(const Call& call, const void* from, void* to, ncclComm_t comm, cudaStream_t stream,
                   const char* name) {
  const std::lock_guard lock(mutex);
  if (!may_begin(comm, name)) return ncclInvalidUsage;
  if (streams.count(stream) == 0 || stream->device != comm->device) {
    misuse(std::string(name) + " on a stream of another device, or none");
    return ncclInvalidArgument;
  }
  ++recorded.collectives;
  if (const auto fault = taken(thread.fail_call, Site::collective)) {
    comm->last_error = "injected at the call";
    return static_cast<ncclResult_t>(*fault);
  }
  if (call.bytes > kSlot) return ncclInvalidArgument;
  comm->streams.insert(stream);
  Operation operation{.call = call,
                      .from = from,
                      .to = to,
                      .number = ++comm->operations,
                      .questions = thread.questions,
                      .hangs = thread.hang.erase(Site::collective) != 0,
                      .fails = taken(thread.fail_later, Site::collective)};
  stream->pending.emplace_back(comm, operation);
  comm->state = ncclInProgress;  // being enqueued
  comm->questions = thread.questions;
  return ncclInProgress;
}

}  // namespace

// ---- controls --------------------------------------------------------------------------------------------

namespace mgrn::test::fake_gpu {

void show(const std::vector<std::string>& names) {
  thread.gpus = names;
}
std::string uuid_of(const std::string& name) {
  char bytes[16];
  write_uuid(name, bytes);
  std::string text = "GPU";
  for (int i = 0; i < 16; ++i) {
    char digits[4];
    std::snprintf(digits, sizeof digits, "%s%02x", i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                  static_cast<unsigned>(static_cast<unsigned char>(bytes[i])));
    text += digits;
  }
  return text;
}
void fail_call(Site site, int result) {
  thread.fail_call[site] = result;
}
void fail_later(Site site, int result) {
  thread.fail_later[site] = result;
}
void hang(Site site) {
  thread.hang.insert(site);
}
void let_aborts_end() {
  const std::lock_guard lock(mutex);
  ++aborts_let_end;
  aborts_may_end.notify_all();
}
void set_version(int version) {
  thread.version = version;
}
void set_questions(int questions) {
  thread.questions = questions;
}
void reset_thread() {
  thread = {};
}

Report report() {
  const std::lock_guard lock(mutex);
  Report now = recorded;
  now.communicators = static_cast<int>(communicators.size());
  now.streams = static_cast<int>(streams.size());
  now.allocations = static_cast<int>(allocations.size());
  return now;
}
void reset_report() {
  const std::lock_guard lock(mutex);
  recorded = {};
}

}  // namespace mgrn::test::fake_gpu

// ---- the CUDA runtime
// --------------------------------------------------------------------------------------

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = static_cast<int>(gpus_of_thread().size());
  return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  const auto names = gpus_of_thread();
  if (device < 0 || device >= static_cast<int>(names.size())) return cudaErrorInvalidDevice;
  write_uuid(names[static_cast<std::size_t>(device)], properties->uuid.bytes);
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (const auto fault = taken(thread.fail_call, Site::set_device)) return static_cast<cudaError_t>(*fault);
  if (device < 0 || device >= static_cast<int>(gpus_of_thread().size())) return cudaErrorInvalidDevice;
  thread.device = device;
  return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    default:
      return "fake CUDA error";
  }
}

cudaError_t cudaMalloc(void** place, std::size_t bytes) {
  if (const auto fault = taken(thread.fail_call, Site::allocate)) return static_cast<cudaError_t>(*fault);
  *place = std::malloc(bytes);
  std::memset(*place, 0xff, bytes);
  const std::lock_guard lock(mutex);
  allocations.insert(*place);
  return cudaSuccess;
}

cudaError_t cudaFree(void* place) {
  const std::lock_guard lock(mutex);
  if (allocations.erase(place) == 0) {
    misuse("cudaFree of what was not allocated");
    return cudaErrorInvalidValue;
  }
  std::free(place);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (const auto fault = taken(thread.fail_call, Site::copy)) return static_cast<cudaError_t>(*fault);
  const std::lock_guard lock(mutex);
  if (streams.count(stream) == 0) {
    misuse("a copy on a stream that is gone");
    return cudaErrorInvalidResourceHandle;
  }
  if (!stream->pending.empty()) misuse("a copy behind a collective in progress, which blocks for as long");
  const void* device = kind == cudaMemcpyHostToDevice ? to : from;
  if (allocations.count(const_cast<void*>(device)) == 0) {
    misuse("a copy to or from what is no device memory");
    return cudaErrorInvalidValue;
  }
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const std::lock_guard lock(mutex);
  if (flags != cudaStreamNonBlocking) misuse("a stream that waits for the default stream");
  *stream = new CUstream_st{thread.device, {}};
  streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  if (streams.erase(stream) == 0) {
    misuse("cudaStreamDestroy of a stream that is gone");
    return cudaErrorInvalidResourceHandle;
  }
  if (!stream->pending.empty()) misuse("a stream was destroyed with a collective in progress");
  for (const ncclComm_t comm : communicators) {
    if (comm->streams.count(stream) != 0) misuse("a stream was destroyed before its communicator");
  }
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  if (streams.count(stream) == 0) {
    misuse("cudaStreamQuery of a stream that is gone");
    return cudaErrorInvalidResourceHandle;
  }
  return advance(stream) ? cudaSuccess : cudaErrorNotReady;
}

// ---- NCCL ------------------------------------------------------------------------------------------------

ncclResult_t ncclGetVersion(int* version) {
  if (const auto fault = taken(thread.fail_call, Site::get_version)) return static_cast<ncclResult_t>(*fault);
  *version = thread.version;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  if (const auto fault = taken(thread.fail_call, Site::get_unique_id)) {
    return static_cast<ncclResult_t>(*fault);
  }
  // Open until the process ends: other ranks come by this name.
  const int file = memfd_create("fake-nccl", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, static_cast<off_t>(kHeader + kMostRanks * kSlot)) != 0) {
    return ncclSystemError;
  }
  std::memset(id->internal, 0, sizeof id->internal);
  std::snprintf(id->internal, sizeof id->internal, "/proc/%d/fd/%d", static_cast<int>(getpid()), file);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* communicator, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (const auto fault = taken(thread.fail_call, Site::init)) return static_cast<ncclResult_t>(*fault);
  const std::lock_guard lock(mutex);
  ++recorded.inits;
  if (config == nullptr || config->blocking != 0) misuse("a communicator that blocks");
  const int file = open(id.internal, O_RDWR | O_CLOEXEC);
  if (file < 0 || ranks > kMostRanks) return ncclSystemError;
  auto comm = std::make_unique<ncclComm>();
  comm->bytes = kHeader + static_cast<std::size_t>(ranks) * kSlot;
  void* place = mmap(nullptr, comm->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (place == MAP_FAILED) return ncclSystemError;
  comm->region = static_cast<Region*>(place);
  comm->rank = rank;
  comm->ranks = ranks;
  comm->device = thread.device;
  comm->questions = thread.questions;
  comm->hangs = thread.hang.erase(Site::init) != 0;
  comm->hangs_in_abort = thread.hang.erase(Site::abort) != 0;
  comm->fails = taken(thread.fail_later, Site::init);
  const char* host = std::getenv("NCCL_HOSTID");
  std::snprintf(comm->region->places[rank], sizeof comm->region->places[rank], "%s %s",
                host == nullptr ? "host" : host,
                fake::uuid_of(gpus_of_thread()[static_cast<std::size_t>(thread.device)]).c_str());
  *communicator = comm.release();
  communicators.insert(*communicator);
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  const std::lock_guard lock(mutex);
  if (!alive(comm, "ncclCommGetAsyncError")) return ncclInvalidArgument;
  advance(comm);
  *error = comm->state;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  const std::lock_guard lock(mutex);
  if (!may_begin(comm, "ncclCommFinalize")) return ncclInvalidUsage;
  ++recorded.finalizes;
  if (const auto fault = taken(thread.fail_call, Site::finalize)) return static_cast<ncclResult_t>(*fault);
  comm->phase = ncclComm::Phase::finalizing;
  comm->state = ncclInProgress;
  comm->questions = thread.questions;
  comm->hangs = thread.hang.erase(Site::finalize) != 0;
  comm->fails = taken(thread.fail_later, Site::finalize);
  return ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const std::lock_guard lock(mutex);
  if (!alive(comm, "ncclCommDestroy")) return ncclInvalidArgument;
  if (comm->phase != ncclComm::Phase::finalized) misuse("ncclCommDestroy without a finished finalisation");
  ++recorded.destroys;
  end(comm);
  const auto fault = taken(thread.fail_call, Site::destroy);
  return fault ? static_cast<ncclResult_t>(*fault) : ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  std::unique_lock lock(mutex);
  if (!alive(comm, "ncclCommAbort")) return ncclInvalidArgument;
  ++recorded.aborts;
  if (comm->hangs_in_abort) {
    aborts_may_end.wait(lock, [before = aborts_let_end] { return aborts_let_end != before; });
  }
  end(comm);
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSystemError:
      return "unhandled system error";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInvalidUsage:
      return "invalid usage";
    default:
      return "fake NCCL error";
  }
}

const char* ncclGetLastError(ncclComm_t comm) {
  const std::lock_guard lock(mutex);
  return alive(comm, "ncclGetLastError") ? comm->last_error.c_str() : "";
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t operation, ncclComm_t comm, cudaStream_t stream) {
  return begin({kAllReduce, static_cast<std::uint32_t>(type), static_cast<std::uint32_t>(operation), 0,
                count * size_of(static_cast<std::uint32_t>(type))},
               from, to, comm, stream, "ncclAllReduce");
}

ncclResult_t ncclBroadcast(const void* from, void* to, std::size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  return begin({kBroadcast, static_cast<std::uint32_t>(type), 0, static_cast<std::uint32_t>(root),
                count * size_of(static_cast<std::uint32_t>(type))},
               from, to, comm, stream, "ncclBroadcast");
}
}
