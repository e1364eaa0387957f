// SPDX-License-Identifier: Apache-2.0
// No call here waits without a limit: the communicator is non-blocking, and both its state and its stream are
// asked again and again. An operation that fails or takes too long aborts the communicator, which sets the
// GPU free, and becomes an error. The abort itself may hang, so it has a thread and a limit of its own.
//
// Where the host's collectives are watched, these are too: while a rank waits here it answers the others, and
// it is the watch that says who is missing.
#include "multigrnformer/comm/nccl.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "collective_arguments.hpp"
#include "gpu_libraries.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/topology.hpp"
#include "watched_communicator.hpp"

namespace mgrn::comm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kHint =
    "set NCCL_DEBUG=WARN to hear NCCL's reasons, and NCCL_SOCKET_IFNAME to the nodes' network where it picks "
    "another one";
/// Most of the host's memory that passes over the GPU at a time.
constexpr std::size_t kMostStaged = std::size_t{32} << 20;
/// Where a watch can name the missing ranks, it comes first; its grace is ten seconds and a few of them.
constexpr std::chrono::duration<double> kBehindTheWatch{60};

/// Thrown by ranks that waited in vain; a rank with another error is the cause.
struct TimeIsOver : base::CommunicationError {
  using CommunicationError::CommunicationError;
};

/// Between two questions to a library: operations take microseconds, so the first ones come close together.
class Pause {
 public:
  void once() {
    if (++asked_ < kEager) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

 private:
  static constexpr int kEager = 2000;
  int asked_ = 0;
};

std::string seconds_text(std::chrono::duration<double> time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g s", time.count());
  return text.data();
}

/// For as long as it lives, the watch (if there is one) knows this rank in a collective over NCCL.
class Watched {
 public:
  Watched(WatchedCommunicator* host, WatchedCommunicator::Kind kind) : host_(host) {
    if (host_ != nullptr) {
      kind.carrier = Carrier::nccl;
      host_->begin(kind);
    }
  }
  ~Watched() {
    if (host_ != nullptr) {
      host_->end();
    }
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

 private:
  WatchedCommunicator* host_;
};

/// What an abort that hangs holds, the ends of the libraries would wait for: the process then ends with its
/// exit code, but without them.
void end_without_the_libraries() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::on_exit(
        [](int code, void*) {
          std::fflush(nullptr);
          ::_exit(code);
        },
        nullptr);
  });
}

constexpr Element element_of(std::int64_t /*value*/) {
  return Element::int64;
}
constexpr Element element_of(float /*value*/) {
  return Element::float32;
}
constexpr Element element_of(double /*value*/) {
  return Element::float64;
}

ncclRedOp_t operation_of(Reduction reduction) {
  switch (reduction) {
    case Reduction::maximum:
      return ncclMax;
    case Reduction::minimum:
      return ncclMin;
    case Reduction::sum:
      break;
  }
  return ncclSum;
}

constexpr ncclDataType_t type_of(std::int64_t /*value*/) {
  return ncclInt64;  // sums wrap, as the host's
}
constexpr ncclDataType_t type_of(float /*value*/) {
  return ncclFloat32;
}
constexpr ncclDataType_t type_of(double /*value*/) {
  return ncclFloat64;
}

class NcclCommunicator final : public DeviceCommunicator {
 public:
  /// Connects: every rank must be in this constructor at the same time.
  NcclCommunicator(Communicator& host, const NcclOptions& options, const ncclUniqueId& id)
      : host_(host),
        watched_(dynamic_cast<WatchedCommunicator*>(&host)),
        options_(options),
        nccl_(nccl_library().functions),
        cuda_(cuda_library().functions) {
    try {
      connect(id);
    } catch (...) {
      give_up();
      throw;
    }
  }

  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;
  ~NcclCommunicator() override {
    try {
      if (std::uncaught_exceptions() == exceptions_) {
        close();
      }
    } catch (const std::exception& error) {
      base::warn(error.what());
    }
    give_up();
  }

  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }
  std::string backend() const override { return "nccl"; }
  int device() const override { return options_.device; }

  void barrier() override { host_.barrier(); }
  void broadcast(std::span<std::byte> bytes, int root) override {
    check_root("broadcast", root, size());
    const Watched watched(watched_, {Operation::broadcast, Element::bytes, bytes.size(), root});
    staged("broadcast", bytes, sizeof(std::byte), [&](void* place, std::size_t count) {
      return nccl_.broadcast(place, place, count, ncclUint8, root, communicator_, stream_);
    });
  }
  void all_reduce(std::span<std::int64_t> values, Reduction reduction) override {
    reduce_staged(values, reduction);
  }
  void all_reduce(std::span<float> values, Reduction reduction) override { reduce_staged(values, reduction); }
  void all_reduce(std::span<double> values, Reduction reduction) override {
    reduce_staged(values, reduction);
  }
  void all_reduce_on_device(std::span<std::int64_t> values, Reduction reduction) override {
    reduce_in_place(values, reduction);
  }
  void all_reduce_on_device(std::span<float> values, Reduction reduction) override {
    reduce_in_place(values, reduction);
  }

  std::vector<Bytes> all_gather(std::span<const std::byte> mine) override { return host_.all_gather(mine); }
  std::vector<Bytes> gather(std::span<const std::byte> mine, int root) override {
    return host_.gather(mine, root);
  }
  std::vector<Bytes> exchange(std::vector<Bytes> to_rank) override {
    return host_.exchange(std::move(to_rank));
  }
  std::unique_ptr<Communicator> split(int group) override { return host_.split(group); }
  std::unique_ptr<Communicator> split_by_node() override { return host_.split_by_node(); }
  SharedMemory share_memory(std::uint64_t bytes) override { return host_.share_memory(bytes); }
  void abort(base::ExitCode code) noexcept override { host_.abort(code); }

  void close() override {
    if (communicator_ == nullptr) {
      return;
    }
    const Watched watched(watched_, {Operation::close});
    select();
    settle("ncclCommFinalize", nccl_.finalize(communicator_));
    // Destroyed whatever the result: the handle is gone.
    const ncclResult_t result = nccl_.destroy(std::exchange(communicator_, nullptr));
    if (result != ncclSuccess) {
      fail("ncclCommDestroy", text_of(result));
    }
    release();
  }

 private:
  void connect(const ncclUniqueId& id) {
    const Watched watched(watched_, {Operation::connect});
    select();
    check(cuda_.create_stream(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    settle("ncclCommInitRankConfig", nccl_.init_rank(&communicator_, size(), id, rank(), &config));
    connected_ = true;
  }

  /// Another library may have chosen another device for this thread.
  void select() { check(cuda_.set_device(options_.device), "cudaSetDevice"); }

  void require_open() const {
    if (communicator_ == nullptr) {
      throw base::CommunicationError({.what = "a collective over NCCL after its communicator has ended",
                                      .hint = "see the error before this one"});
    }
  }

  template <typename T>
  void reduce_in_place(std::span<T> values, Reduction reduction) {
    require_open();
    if (values.empty()) {
      return;
    }
    const Watched watched(watched_, kind_of(values, reduction));
    select();
    settle("ncclAllReduce", nccl_.all_reduce(values.data(), values.data(), values.size(), type_of(T{}),
                                             operation_of(reduction), communicator_, stream_));
    wait_for_stream("ncclAllReduce");
  }

  template <typename T>
  static WatchedCommunicator::Kind kind_of(std::span<T> values, Reduction reduction) {
    return {Operation::all_reduce, element_of(T{}), values.size(), static_cast<int>(reduction)};
  }

  template <typename T>
  void reduce_staged(std::span<T> values, Reduction reduction) {
    const Watched watched(watched_, kind_of(values, reduction));
    staged("ncclAllReduce", std::as_writable_bytes(values), sizeof(T), [&](void* place, std::size_t count) {
      return nccl_.all_reduce(place, place, count, type_of(T{}), operation_of(reduction), communicator_,
                              stream_);
    });
  }

  /// Brings `bytes` through the GPU's memory, a part at a time; `start(place, count)` starts the operation on
  /// `count` elements there.
  template <typename Start>
  void staged(const char* call, std::span<std::byte> bytes, std::size_t element, const Start& start) {
    require_open();
    select();
    for (std::size_t at = 0; at < bytes.size(); at += kMostStaged) {
      const auto part = bytes.subspan(at, std::min(kMostStaged, bytes.size() - at));
      reserve(part.size());
      check(cuda_.copy(stage_, part.data(), part.size(), cudaMemcpyHostToDevice, stream_),
            "copying to the GPU");
      settle(call, start(stage_, part.size() / element));
      // The copy back waits for the stream, without a limit: so nothing may be left to wait for.
      wait_for_stream(call);
      check(cuda_.copy(part.data(), stage_, part.size(), cudaMemcpyDeviceToHost, stream_),
            "copying from the GPU");
      wait_for_stream("copying from the GPU");
    }
  }

  void reserve(std::size_t bytes) {
    if (bytes <= stage_bytes_) {
      return;
    }
    if (stage_ != nullptr) {
      check(cuda_.release(std::exchange(stage_, nullptr)), "cudaFree");
      stage_bytes_ = 0;
    }
    check(cuda_.allocate(&stage_, bytes), "cudaMalloc");
    stage_bytes_ = bytes;
  }

  /// A call to NCCL returns at once; what it began is over when the communicator no longer says "in
  /// progress".
  void settle(const char* call, ncclResult_t result) {
    if (result != ncclSuccess && result != ncclInProgress) {
      fail(call, text_of(result));
    }
    poll(call, [&] { return state(call) == ncclSuccess; });
  }

  void wait_for_stream(const char* call) {
    poll(call, [&] {
      const cudaError_t result = cuda_.query_stream(stream_);
      if (result != cudaErrorNotReady) {
        check(result, call);
        return true;
      }
      state(call);
      return false;
    });
    // An operation that was given up leaves an empty stream too.
    state(call);
  }

  template <typename Done>
  void poll(const char* call, const Done& done) {
    const auto start = Clock::now();
    // Ranks that do not connect agree on the cause, which a watch cannot know.
    const auto limit =
        watched_ != nullptr && connected_ ? options_.time_limit + kBehindTheWatch : options_.time_limit;
    for (Pause pause; !done(); pause.once()) {
      if (watched_ != nullptr) {
        watched_->collective_watch().waiting();
      }
      if (Clock::now() - start < limit) {
        continue;
      }
      const std::string what =
          std::string(call) + " over NCCL did not end on GPU " + std::to_string(options_.device);
      // Said first: an abort waits for what runs on the GPU.
      base::warn(what + "; its communicator is aborted");
      give_up();
      throw TimeIsOver({.what = what,
                        .expected = "all " + std::to_string(size()) + " ranks within " + seconds_text(limit),
                        .got = "an operation still in progress",
                        .hint = std::string("see whether a rank ended or hangs; ") + kHint});
    }
  }

  /// ncclSuccess or ncclInProgress; throws for what else the communicator reports.
  ncclResult_t state(const char* call) {
    ncclResult_t reported = ncclSuccess;
    const ncclResult_t result = nccl_.get_async_error(communicator_, &reported);
    if (result != ncclSuccess) {
      fail(call, text_of(result));
    }
    if (reported != ncclSuccess && reported != ncclInProgress) {
      fail(call, text_of(reported));
    }
    return reported;
  }

  std::string text_of(ncclResult_t result) const {
    std::string text = nccl_.get_error_string(result);
    const char* last = communicator_ == nullptr ? nullptr : nccl_.get_last_error(communicator_);
    if (last != nullptr && *last != '\0') {
      text += std::string(": ") + last;
    }
    return text;
  }

  void check(cudaError_t result, const char* call) {
    if (result != cudaSuccess) {
      fail(call, cuda_.get_error_string(result));
    }
  }

  [[noreturn]] void fail(const char* call, std::string reason) {
    give_up();
    throw base::CommunicationError(
        {.what = std::string(call) + " failed on GPU " + std::to_string(options_.device),
         .got = std::move(reason),
         .hint = kHint});
  }

  // Whatever they return, there is nothing more to be done.
  struct Resources {
    ncclComm_t communicator = nullptr;
    cudaStream_t stream = nullptr;
    void* stage = nullptr;
  };
  static void free_all(const Resources& held, const NcclFunctions& nccl, const CudaFunctions& cuda) noexcept {
    if (held.communicator != nullptr) {
      nccl.abort(held.communicator);
    }
    if (held.stage != nullptr) {
      cuda.release(held.stage);
    }
    if (held.stream != nullptr) {
      cuda.destroy_stream(held.stream);
    }
  }
  Resources take_all() noexcept {
    stage_bytes_ = 0;
    return {std::exchange(communicator_, nullptr), std::exchange(stream_, nullptr),
            std::exchange(stage_, nullptr)};
  }
  void release() noexcept { free_all(take_all(), nccl_, cuda_); }

  /// Aborts what there is and waits for it, but not for ever: where a kernel hangs, so may its abort. The
  /// thread then keeps what it holds; nobody uses it any more.
  void give_up() noexcept {
    const Resources held = take_all();
    if (held.communicator == nullptr) {
      free_all(held, nccl_, cuda_);
      return;
    }
    try {
      std::promise<void> promise;
      const std::future<void> end = promise.get_future();
      std::thread([held, device = options_.device, &nccl = nccl_, &cuda = cuda_,
                   ended = std::move(promise)]() mutable {
        cuda.set_device(device);
        free_all(held, nccl, cuda);
        ended.set_value();
      }).detach();
      if (end.wait_for(options_.abort_limit) != std::future_status::ready) {
        end_without_the_libraries();
        base::warn("ncclCommAbort does not end on GPU " + std::to_string(options_.device) +
                   "; what it holds is left to the end of the process");
      }
    } catch (const std::exception& error) {
      base::warn(std::string("the communicator of NCCL is left to the end of the process: ") + error.what());
    }
  }

  Communicator& host_;
  WatchedCommunicator* watched_;  // the host, where it is watched; else null
  NcclOptions options_;
  const NcclFunctions& nccl_;
  const CudaFunctions& cuda_;
  ncclComm_t communicator_ = nullptr;
  cudaStream_t stream_ = nullptr;
  void* stage_ = nullptr;
  std::size_t stage_bytes_ = 0;
  bool connected_ = false;
  int exceptions_ = std::uncaught_exceptions();
};

void require_same_version(Communicator& host, int mine) {
  const auto versions = host.all_gather(std::as_bytes(std::span(&mine, 1)));
  const int first = from_bytes<int>(versions.front()).front();
  for (std::size_t rank = 1; rank < versions.size(); ++rank) {
    const int theirs = from_bytes<int>(versions[rank]).front();
    if (theirs != first) {
      throw base::UsageError({.what = "ranks have different versions of NCCL",
                              .file = "train.device",
                              .expected = "NCCL " + version_text(first) + " as on rank 0",
                              .got = version_text(theirs) + " on rank " + std::to_string(rank),
                              .hint = "load the same module of NCCL on all nodes"});
    }
  }
}

ncclUniqueId exchange_id(Communicator& host) {
  ncclUniqueId id{};
  agree(host, [&] {
    if (host.rank() != 0) {
      return;
    }
    const ncclResult_t result = nccl_library().functions.get_unique_id(&id);
    if (result != ncclSuccess) {
      throw base::CommunicationError({.what = "ncclGetUniqueId failed",
                                      .got = nccl_library().functions.get_error_string(result),
                                      .hint = kHint});
    }
  });
  host.broadcast(std::as_writable_bytes(std::span(&id, 1)), 0);
  return id;
}

void throw_agreed_cause(Communicator& host, const std::exception_ptr& failure) {
  bool in_vain = false;
  try {
    if (failure) {
      std::rethrow_exception(failure);
    }
  } catch (const TimeIsOver&) {
    in_vain = true;
  } catch (...) {
    // told by throw_agreed
  }
  throw_agreed(host, in_vain ? nullptr : failure);
  throw_agreed(host, failure);
}

}  // namespace

std::unique_ptr<DeviceCommunicator> make_nccl_communicator(Communicator& host, const NcclOptions& options) {
  int version = 0;
  agree(host, [&] {
    require_nccl();
    version = nccl_version();
  });
  require_same_version(host, version);
  if (options.sharing == GpuSharing::allowed) {
    const std::string name = host_name() + "-" + std::to_string(host.rank());
    ::setenv("NCCL_HOSTID", name.c_str(), 0);
  }
  const ncclUniqueId id = exchange_id(host);
  // Together from here: the time limit of the connections counts for all alike.
  host.barrier();
  std::unique_ptr<NcclCommunicator> made;
  std::exception_ptr failure;
  try {
    made = std::make_unique<NcclCommunicator>(host, options, id);
  } catch (...) {
    failure = std::current_exception();
  }
  throw_agreed_cause(host, failure);
  return made;
}

void require_nccl() {
  cuda_library();
  nccl_version();
}

std::vector<std::string> visible_gpus() {
  const CudaFunctions& cuda = cuda_library().functions;
  const auto check = [&](cudaError_t result) {
    if (result != cudaSuccess) {
      throw base::UsageError({.what = "the GPUs cannot be listed",
                              .file = "train.device",
                              .expected = "a driver that serves " + cuda_library().path,
                              .got = cuda.get_error_string(result),
                              .hint = "run where a GPU and its driver are, or set train.device to cpu"});
    }
  };
  int count = 0;
  const cudaError_t result = cuda.get_device_count(&count);
  if (result == cudaErrorNoDevice) {
    return {};
  }
  check(result);
  std::vector<std::string> uuids;
  for (int device = 0; device < count; ++device) {
    cudaDeviceProp properties{};
    check(cuda.get_device_properties(&properties, device));
    std::string uuid = "GPU";
    for (std::size_t i = 0; i < sizeof properties.uuid.bytes; ++i) {
      std::array<char, 4> digits{};
      const bool dash = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
      std::snprintf(digits.data(), digits.size(), "%s%02x", dash ? "-" : "",
                    static_cast<unsigned>(static_cast<unsigned char>(properties.uuid.bytes[i])));
      uuid += digits.data();
    }
    uuids.push_back(std::move(uuid));
  }
  return uuids;
}

std::string describe_nccl() {
  try {
    return version_text(nccl_version()) + ", " + nccl_library().path;
  } catch (const base::UsageError& error) {
    return "none: " + error.text().got;
  }
}

}  // namespace mgrn::comm
