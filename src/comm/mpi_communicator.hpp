// SPDX-License-Identifier: Apache-2.0
// The MPI backend. Private to the room: nothing outside it sees mpi.h.
//
// A rank that waits for others polls, so that it can look at the clock and answer them meanwhile. The few
// calls that MPI has only in a blocking form (making communicators and windows) come after a barrier that is
// polled.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "multigrnformer/comm/communicator.hpp"
#include "node_sum.hpp"
#include "wait_observer.hpp"

namespace mgrn::comm {

/// Throws CommunicationError with MPI's own words unless `code` is MPI_SUCCESS.
void check_mpi(int code, const char* call);

class MpiCommunicator final : public Communicator {
 public:
  /// What one MPI call carries at most: its counts are int, and large messages gain nothing.
  static constexpr std::size_t kChunkBytes = std::size_t{1} << 30;
  /// Integer sums of so many values and more go through the memory of the nodes (node_sum.hpp).
  static constexpr std::size_t kNodeSumValues = std::size_t{1} << 13;

  /// Takes over `handle`, sets it to return errors instead of ending the program, and frees it at last.
  /// `observer` (may be null) is told while this rank waits.
  MpiCommunicator(MPI_Comm handle, std::size_t chunk_bytes, std::shared_ptr<WaitObserver> observer = nullptr);
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;
  ~MpiCommunicator() override;

  MPI_Comm handle() const { return handle_; }
  const std::shared_ptr<WaitObserver>& observer() const { return observer_; }
  void observe(std::shared_ptr<WaitObserver> observer) { observer_ = std::move(observer); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string backend() const override { return "mpi"; }
  void barrier() override;
  void broadcast(std::span<std::byte> bytes, int root) override;
  void all_reduce(std::span<std::int64_t> values, Reduction reduction) override;
  void all_reduce(std::span<float> values, Reduction reduction) override;
  void all_reduce(std::span<double> values, Reduction reduction) override;
  std::vector<Bytes> all_gather(std::span<const std::byte> mine) override;
  std::vector<Bytes> gather(std::span<const std::byte> mine, int root) override;
  std::vector<Bytes> exchange(std::vector<Bytes> to_rank) override;
  std::unique_ptr<Communicator> split(int group) override;
  std::unique_ptr<Communicator> split_by_node() override;
  SharedMemory share_memory(std::uint64_t bytes) override;
  void abort(base::ExitCode code) noexcept override;

 private:
  template <typename T>
  void reduce(std::span<T> values, Reduction reduction, MPI_Datatype type);
  bool sums_by_node(std::size_t values);
  std::vector<std::uint64_t> sizes_of_all(std::uint64_t mine);
  /// `start` makes MPI begin `call`, whose end is then polled for.
  template <typename Start>
  void polled(const char* call, const Start& start) const;
  void complete(std::span<MPI_Request> requests, const char* call) const;

  MPI_Comm handle_;
  std::size_t chunk_bytes_;
  std::shared_ptr<WaitObserver> observer_;
  int rank_ = 0;
  int size_ = 1;
  std::unique_ptr<NodeSum> node_sum_;  // made at the first large integer sum
};

/// The MPI backend behind `communicator`, null where there is another.
const MpiCommunicator* as_mpi(const Communicator& communicator);

}  // namespace mgrn::comm
