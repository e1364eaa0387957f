// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm::test {

/// A world whose ranks lie on nodes of `node_ranks` each, the last perhaps of fewer. With one each, as in
/// containers of one host.
class MadeUpNodes final : public Communicator {
 public:
  MadeUpNodes(Communicator& world, int node_ranks) : world_(world), node_ranks_(node_ranks) {}

  int rank() const override { return world_.rank(); }
  int size() const override { return world_.size(); }
  std::string backend() const override { return world_.backend(); }
  void barrier() override { world_.barrier(); }
  void broadcast(std::span<std::byte> bytes, int root) override { world_.broadcast(bytes, root); }
  void all_reduce(std::span<std::int64_t> values, Reduction reduction) override {
    world_.all_reduce(values, reduction);
  }
  void all_reduce(std::span<float> values, Reduction reduction) override {
    world_.all_reduce(values, reduction);
  }
  void all_reduce(std::span<double> values, Reduction reduction) override {
    world_.all_reduce(values, reduction);
  }
  std::vector<Bytes> all_gather(std::span<const std::byte> mine) override { return world_.all_gather(mine); }
  std::vector<Bytes> gather(std::span<const std::byte> mine, int root) override {
    return world_.gather(mine, root);
  }
  std::vector<Bytes> exchange(std::vector<Bytes> to_rank) override {
    return world_.exchange(std::move(to_rank));
  }
  std::unique_ptr<Communicator> split(int group) override { return world_.split(group); }
  std::unique_ptr<Communicator> split_by_node() override { return world_.split(rank() / node_ranks_); }
  SharedMemory share_memory(std::uint64_t bytes) override { return world_.share_memory(bytes); }
  void abort(base::ExitCode code) noexcept override { world_.abort(code); }

 private:
  Communicator& world_;
  int node_ranks_;
};

}  // namespace mgrn::comm::test
