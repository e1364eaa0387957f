// SPDX-License-Identifier: Apache-2.0
#include "mpi_communicator.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <thread>
#include <utility>

#include "collective_arguments.hpp"
#include "node_memory.hpp"
#include "node_sum.hpp"

namespace mgrn::comm {
namespace {

constexpr int kTag = 1;
constexpr int kPollsBeforeYielding = 200;  // some tens of microseconds

MPI_Op operation_of(Reduction reduction) {
  switch (reduction) {
    case Reduction::maximum:
      return MPI_MAX;
    case Reduction::minimum:
      return MPI_MIN;
    case Reduction::sum:
      break;
  }
  return MPI_SUM;
}

std::vector<Bytes> empty_for(const std::vector<std::uint64_t>& sizes) {
  std::vector<Bytes> all(sizes.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].resize(sizes[i]);
  }
  return all;
}

// Where the parts of a message for several ranks lie in one buffer, as MPI's v-calls want it.
struct Layout {
  explicit Layout(const std::vector<std::uint64_t>& sizes) {
    int place = 0;
    for (const auto size : sizes) {
      counts.push_back(static_cast<int>(size));
      places.push_back(place);
      place += static_cast<int>(size);
    }
    buffer.resize(static_cast<std::size_t>(place));
  }
  void cut_into(std::vector<Bytes>& parts) const {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto first = buffer.begin() + places[i];
      std::copy(first, first + counts[i], parts[i].begin());
    }
  }

  std::vector<int> counts;
  std::vector<int> places;
  Bytes buffer;
};

// The pieces of one point-to-point message. MPI keeps messages between two ranks in order, so the
// receiver's pieces meet the sender's.
template <typename Post>
void in_pieces(std::size_t bytes, std::size_t chunk, const Post& post) {
  for (std::size_t at = 0; at < bytes; at += chunk) {
    post(at, static_cast<int>(std::min(chunk, bytes - at)));
  }
}

}  // namespace

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) {
    return;
  }
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) {
    length = 0;
  }
  throw base::CommunicationError(
      {.what = std::string(call) + " failed",
       .got = length > 0 ? std::string(text.data(), static_cast<std::size_t>(length))
                         : "code " + std::to_string(code),
       .hint =
           "see whether all nodes are up and reach each other (`multigrnformer doctor` tries a collective); "
           "--compare-collectives finds ranks that are not in the same collective"});
}

const MpiCommunicator* as_mpi(const Communicator& communicator) {
  return dynamic_cast<const MpiCommunicator*>(&communicator.underlying());
}

MpiCommunicator::MpiCommunicator(MPI_Comm handle, std::size_t chunk_bytes,
                                 std::shared_ptr<WaitObserver> observer)
    : handle_(handle), chunk_bytes_(chunk_bytes), observer_(std::move(observer)) {
  check_mpi(MPI_Comm_set_errhandler(handle_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_rank(handle_, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(handle_, &size_), "MPI_Comm_size");
}

MpiCommunicator::~MpiCommunicator() {
  // Freeing is a collective: while an error unwinds, perhaps on this rank alone, it could wait for ranks
  // that never come. The process is about to end then, so the handle is left to MPI.
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized == 0 && std::uncaught_exceptions() == 0) {
    MPI_Comm_free(&handle_);
  }
}

void MpiCommunicator::complete(std::span<MPI_Request> requests, const char* call) const {
  for (int polls = 0;;) {
    int done = 0;
    // Of one request MPI tells what went wrong, of several only that something did.
    check_mpi(requests.size() == 1 ? MPI_Test(requests.data(), &done, MPI_STATUS_IGNORE)
                                   : MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done,
                                                 MPI_STATUSES_IGNORE),
              call);
    if (done != 0) {
      return;
    }
    if (polls < kPollsBeforeYielding) {
      ++polls;
      continue;
    }
    // Others may have work for this core, the late rank among them.
    std::this_thread::yield();
    if (observer_) {
      observer_->waiting();
    }
  }
}

template <typename Start>
void MpiCommunicator::polled(const char* call, const Start& start) const {
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(start(&request), call);
  complete({&request, 1}, call);
}

void MpiCommunicator::barrier() {
  polled("MPI_Ibarrier", [&](MPI_Request* request) { return MPI_Ibarrier(handle_, request); });
}

void MpiCommunicator::broadcast(std::span<std::byte> bytes, int root) {
  check_root("broadcast", root, size_);
  in_pieces(bytes.size(), chunk_bytes_, [&](std::size_t at, int count) {
    polled("MPI_Ibcast", [&](MPI_Request* request) {
      return MPI_Ibcast(bytes.data() + at, count, MPI_BYTE, root, handle_, request);
    });
  });
}

template <typename T>
void MpiCommunicator::reduce(std::span<T> values, Reduction reduction, MPI_Datatype type) {
  const std::size_t chunk = std::max<std::size_t>(1, chunk_bytes_ / sizeof(T));
  in_pieces(values.size(), chunk, [&](std::size_t at, int count) {
    polled("MPI_Iallreduce", [&](MPI_Request* request) {
      return MPI_Iallreduce(MPI_IN_PLACE, values.data() + at, count, type, operation_of(reduction), handle_,
                            request);
    });
  });
}

bool MpiCommunicator::sums_by_node(std::size_t values) {
  if (size_ == 1 || values < kNodeSumValues) {
    return false;
  }
  if (!node_sum_) {
    node_sum_ = std::make_unique<NodeSum>(*this);
  }
  return node_sum_->pays();
}

void MpiCommunicator::all_reduce(std::span<std::int64_t> values, Reduction reduction) {
  if (reduction == Reduction::sum && sums_by_node(values.size())) {
    node_sum_->add_up({reinterpret_cast<std::uint64_t*>(values.data()), values.size()});
    return;
  }
  // Summed as unsigned: wrapping is then what the language promises, and the bits are the same.
  reduce(values, reduction, reduction == Reduction::sum ? MPI_UINT64_T : MPI_INT64_T);
}
void MpiCommunicator::all_reduce(std::span<float> values, Reduction reduction) {
  reduce(values, reduction, MPI_FLOAT);
}
void MpiCommunicator::all_reduce(std::span<double> values, Reduction reduction) {
  reduce(values, reduction, MPI_DOUBLE);
}

std::vector<std::uint64_t> MpiCommunicator::sizes_of_all(std::uint64_t mine) {
  std::vector<std::uint64_t> sizes(static_cast<std::size_t>(size_));
  polled("MPI_Iallgather", [&](MPI_Request* request) {
    return MPI_Iallgather(&mine, 1, MPI_UINT64_T, sizes.data(), 1, MPI_UINT64_T, handle_, request);
  });
  return sizes;
}

std::vector<Bytes> MpiCommunicator::all_gather(std::span<const std::byte> mine) {
  const auto sizes = sizes_of_all(mine.size());
  auto all = empty_for(sizes);
  if (std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0}) <= chunk_bytes_) {
    Layout layout(sizes);
    polled("MPI_Iallgatherv", [&](MPI_Request* request) {
      return MPI_Iallgatherv(mine.data(), static_cast<int>(mine.size()), MPI_BYTE, layout.buffer.data(),
                             layout.counts.data(), layout.places.data(), MPI_BYTE, handle_, request);
    });
    layout.cut_into(all);
    return all;
  }
  std::copy(mine.begin(), mine.end(), all[static_cast<std::size_t>(rank_)].begin());
  for (int root = 0; root < size_; ++root) {
    broadcast(all[static_cast<std::size_t>(root)], root);
  }
  return all;
}

std::vector<Bytes> MpiCommunicator::gather(std::span<const std::byte> mine, int root) {
  check_root("gather", root, size_);
  const auto sizes = sizes_of_all(mine.size());
  std::vector<Bytes> all;
  if (rank_ == root) {
    all = empty_for(sizes);
  }
  if (std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0}) <= chunk_bytes_) {
    Layout layout(sizes);
    polled("MPI_Igatherv", [&](MPI_Request* request) {
      return MPI_Igatherv(mine.data(), static_cast<int>(mine.size()), MPI_BYTE, layout.buffer.data(),
                          layout.counts.data(), layout.places.data(), MPI_BYTE, root, handle_, request);
    });
    layout.cut_into(all);
    return all;
  }
  if (rank_ != root) {
    in_pieces(mine.size(), chunk_bytes_, [&](std::size_t at, int count) {
      polled("MPI_Isend", [&](MPI_Request* request) {
        return MPI_Isend(mine.data() + at, count, MPI_BYTE, root, kTag, handle_, request);
      });
    });
    return all;
  }
  for (int source = 0; source < size_; ++source) {
    Bytes& part = all[static_cast<std::size_t>(source)];
    if (source == root) {
      std::copy(mine.begin(), mine.end(), part.begin());
      continue;
    }
    in_pieces(part.size(), chunk_bytes_, [&](std::size_t at, int count) {
      polled("MPI_Irecv", [&](MPI_Request* request) {
        return MPI_Irecv(part.data() + at, count, MPI_BYTE, source, kTag, handle_, request);
      });
    });
  }
  return all;
}

std::vector<Bytes> MpiCommunicator::exchange(std::vector<Bytes> to_rank) {
  check_destinations(to_rank.size(), size_);
  std::vector<std::uint64_t> out_sizes;
  out_sizes.reserve(to_rank.size());
  for (const auto& part : to_rank) {
    out_sizes.push_back(part.size());
  }
  std::vector<std::uint64_t> in_sizes(out_sizes.size());
  polled("MPI_Ialltoall", [&](MPI_Request* request) {
    return MPI_Ialltoall(out_sizes.data(), 1, MPI_UINT64_T, in_sizes.data(), 1, MPI_UINT64_T, handle_,
                         request);
  });
  auto from = empty_for(in_sizes);
  const auto total = [](const std::vector<std::uint64_t>& sizes) {
    return std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
  };
  // All ranks must take the same way, so the largest buffer anywhere decides.
  std::uint64_t largest = std::max(total(out_sizes), total(in_sizes));
  polled("MPI_Iallreduce", [&](MPI_Request* request) {
    return MPI_Iallreduce(MPI_IN_PLACE, &largest, 1, MPI_UINT64_T, MPI_MAX, handle_, request);
  });
  if (largest <= chunk_bytes_) {
    Layout out(out_sizes);
    Layout in(in_sizes);
    for (std::size_t i = 0; i < to_rank.size(); ++i) {
      std::copy(to_rank[i].begin(), to_rank[i].end(), out.buffer.begin() + out.places[i]);
    }
    polled("MPI_Ialltoallv", [&](MPI_Request* request) {
      return MPI_Ialltoallv(out.buffer.data(), out.counts.data(), out.places.data(), MPI_BYTE,
                            in.buffer.data(), in.counts.data(), in.places.data(), MPI_BYTE, handle_, request);
    });
    in.cut_into(from);
    return from;
  }
  // Round k: to the rank k places on, from the rank k places back; pieces of one round at a time.
  from[static_cast<std::size_t>(rank_)] = std::move(to_rank[static_cast<std::size_t>(rank_)]);
  for (int round = 1; round < size_; ++round) {
    const int target = (rank_ + round) % size_;
    const int source = (rank_ + size_ - round) % size_;
    Bytes& in = from[static_cast<std::size_t>(source)];
    const Bytes& out = to_rank[static_cast<std::size_t>(target)];
    std::vector<MPI_Request> requests;
    in_pieces(in.size(), chunk_bytes_, [&](std::size_t at, int count) {
      check_mpi(MPI_Irecv(in.data() + at, count, MPI_BYTE, source, kTag, handle_, &requests.emplace_back()),
                "MPI_Irecv");
    });
    in_pieces(out.size(), chunk_bytes_, [&](std::size_t at, int count) {
      check_mpi(MPI_Isend(out.data() + at, count, MPI_BYTE, target, kTag, handle_, &requests.emplace_back()),
                "MPI_Isend");
    });
    complete(requests, "MPI_Irecv and MPI_Isend");
  }
  return from;
}

std::unique_ptr<Communicator> MpiCommunicator::split(int group) {
  // MPI wants colours that are not negative; ours may be any int, so ranks agree on a numbering first.
  std::vector<int> groups(static_cast<std::size_t>(size_));
  polled("MPI_Iallgather", [&](MPI_Request* request) {
    return MPI_Iallgather(&group, 1, MPI_INT, groups.data(), 1, MPI_INT, handle_, request);
  });
  const auto colour = static_cast<int>(std::find(groups.begin(), groups.end(), group) - groups.begin());
  MPI_Comm part = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(handle_, colour, rank_, &part), "MPI_Comm_split");
  return std::make_unique<MpiCommunicator>(part, chunk_bytes_, observer_);
}

std::unique_ptr<Communicator> MpiCommunicator::split_by_node() {
  barrier();
  MPI_Comm part = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(handle_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &part),
            "MPI_Comm_split_type");
  return std::make_unique<MpiCommunicator>(part, chunk_bytes_, observer_);
}

SharedMemory MpiCommunicator::share_memory(std::uint64_t bytes) {
  if (bytes == 0 || size_ == 1) {
    return private_memory(bytes);
  }
  barrier();
  // The file first: windows of Open MPI live in /dev/shm, which containers keep at 64 MB, and where it is
  // full one rank gets an error while the others wait. The window where ranks do not see one another's
  // processes.
  if (auto memory = share_anonymous_file(handle_, bytes)) {
    return *std::move(memory);
  }
  return share_window(handle_, bytes);
}

void MpiCommunicator::abort(base::ExitCode code) noexcept {
  MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
  std::_Exit(static_cast<int>(code));  // an MPI that returns from it has ended the others
}

}  // namespace mgrn::comm
