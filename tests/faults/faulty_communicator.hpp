// SPDX-License-Identifier: Apache-2.0
// A communicator in which collectives go wrong on one rank, as a plan says: late, left out, failing.
#pragma once

#include <vector>

#include "faults/fault_plan.hpp"
#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::test {

class FaultyCommunicator final : public comm::Communicator {
 public:
  /// `inner` must outlive it. Parts have no faults of their own.
  FaultyCommunicator(comm::Communicator& inner, std::vector<Fault> plan);

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::string backend() const override { return inner_.backend(); }
  const comm::Communicator& underlying() const override { return inner_.underlying(); }
  void barrier() override;
  void broadcast(std::span<std::byte> bytes, int root) override;
  void all_reduce(std::span<std::int64_t> values, comm::Reduction reduction) override;
  void all_reduce(std::span<float> values, comm::Reduction reduction) override;
  void all_reduce(std::span<double> values, comm::Reduction reduction) override;
  std::vector<comm::Bytes> all_gather(std::span<const std::byte> mine) override;
  std::vector<comm::Bytes> gather(std::span<const std::byte> mine, int root) override;
  std::vector<comm::Bytes> exchange(std::vector<comm::Bytes> to_rank) override;
  std::unique_ptr<comm::Communicator> split(int group) override;
  std::unique_ptr<comm::Communicator> split_by_node() override;
  comm::SharedMemory share_memory(std::uint64_t bytes) override;
  void abort(base::ExitCode code) noexcept override { inner_.abort(code); }

 private:
  void enter();
  /// False where the collective is to be left out.
  bool enter_or_leave_out();

  comm::Communicator& inner_;
  std::vector<Fault> plan_;
  std::int64_t number_ = 0;  // of the collective entered last
  bool leave_out_ = false;   // the next one that can be
};

}  // namespace mgrn::test
