// SPDX-License-Identifier: Apache-2.0
// A communicator whose collectives are numbered, kept and, where asked for, compared over the ranks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "collective_watch.hpp"
#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm {

class WatchedCommunicator final : public Communicator {
 public:
  /// `members`: the session's rank of each rank of `inner`.
  WatchedCommunicator(std::unique_ptr<Communicator> inner, std::shared_ptr<CollectiveWatch> watch,
                      std::string name, std::vector<int> members);

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  std::string backend() const override { return inner_->backend(); }
  const Communicator& underlying() const override { return inner_->underlying(); }
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
  void abort(base::ExitCode code) noexcept override { inner_->abort(code); }

  struct Kind {
    Operation operation = Operation::barrier;
    Element element = Element::none;
    std::uint64_t count = 0;
    int argument = 0;
    Carrier carrier = Carrier::host;
  };

  /// Between the two this rank is in a collective of these ranks that does not go through this communicator:
  /// file access, which cannot be polled for, or one over NCCL, which tells collective_watch() that it waits.
  /// Compared like all others; what begin() throws needs no end().
  void begin(const Kind& kind);
  void end() { watch_->leave(); }

  CollectiveWatch& collective_watch() { return *watch_; }

 private:
  CollectiveRecord next(const Kind& kind);
  CollectiveRecord enter(const Kind& kind);
  void compare(const CollectiveRecord& mine);
  template <typename Call>
  auto watched(const Kind& kind, Call&& call);
  template <typename Make>
  std::unique_ptr<Communicator> part(Operation operation, Make&& make);

  std::unique_ptr<Communicator> inner_;
  std::shared_ptr<CollectiveWatch> watch_;
  std::string name_;
  std::vector<int> members_;
  std::uint64_t sequence_ = 0;
};

}  // namespace mgrn::comm
