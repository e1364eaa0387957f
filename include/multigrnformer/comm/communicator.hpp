// SPDX-License-Identifier: Apache-2.0
// How ranks talk. One interface, several backends: Self (one rank), Thread (ranks are threads of one
// process, for tests), MPI; NCCL and a fault-injecting one find their place beside them. The serial case is
// a real backend: callers never ask whether there is more than one rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/shared_memory.hpp"

namespace mgrn::comm {

using Bytes = std::vector<std::byte>;
enum class Reduction { sum, maximum, minimum };

/// Functions marked "collective" must be called by every rank, in the same order. A collective that fails
/// throws CommunicationError (76). Counts may exceed 2^31. Not thread-safe: one thread per rank calls.
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// "self", "thread", "mpi".
  virtual std::string backend() const = 0;
  /// The backend itself, of a communicator that stands before one (a watched one); else this one.
  virtual const Communicator& underlying() const { return *this; }

  /// Collective.
  virtual void barrier() = 0;
  /// Collective. `bytes` has the same size on every rank; root's content arrives everywhere.
  virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
  /// Collective, in place, element-wise. Integer sums are exact and wrap modulo 2^64; float and double sums
  /// depend on the number of ranks (use integers where the bits matter).
  virtual void all_reduce(std::span<std::int64_t> values, Reduction reduction) = 0;
  virtual void all_reduce(std::span<float> values, Reduction reduction) = 0;
  virtual void all_reduce(std::span<double> values, Reduction reduction) = 0;
  /// Collective. Every rank's bytes (of any size) on every rank, indexed by rank.
  virtual std::vector<Bytes> all_gather(std::span<const std::byte> mine) = 0;
  /// Collective. Every rank's bytes on `root`, indexed by rank; empty elsewhere.
  virtual std::vector<Bytes> gather(std::span<const std::byte> mine, int root) = 0;
  /// Collective (all-to-all). `to_rank[r]` goes to rank r; returns what came from each rank, by rank.
  virtual std::vector<Bytes> exchange(std::vector<Bytes> to_rank) = 0;
  /// Collective. Ranks with the same `group` form a communicator, ordered by their rank here.
  virtual std::unique_ptr<Communicator> split(int group) = 0;
  /// Collective. The ranks that share this one's memory (same host).
  virtual std::unique_ptr<Communicator> split_by_node() = 0;
  /// Collective over ranks of one node (split_by_node). Zeroed memory of `bytes`, the same on every rank,
  /// which all of them see; on a page boundary. What one rank writes another may read after a barrier.
  virtual SharedMemory share_memory(std::uint64_t bytes) = 0;

  /// Ends all ranks at once; for errors that cannot be agreed on. Does not return under MPI.
  virtual void abort(base::ExitCode code) noexcept = 0;
};

/// Views a trivially copyable range as bytes and back, for broadcast and gathers.
template <typename T>
std::vector<T> from_bytes(const Bytes& bytes) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) {
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  }
  return values;
}
template <typename T>
Bytes to_bytes(std::span<const T> values) {
  static_assert(std::is_trivially_copyable_v<T>);
  const auto raw = std::as_bytes(values);
  return Bytes(raw.begin(), raw.end());
}

/// Collective. Root's text on every rank.
std::string broadcast_text(Communicator& communicator, std::string text, int root = 0);

/// A world of one rank.
std::unique_ptr<Communicator> make_self_communicator();

}  // namespace mgrn::comm
