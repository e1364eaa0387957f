// SPDX-License-Identifier: Apache-2.0
// Hands the micro-batches of a step to the threads of the ranks of a node. Each thread's first is its own;
// the others go to whoever comes next, so that nobody waits for a core that something else has slowed down.
// Exact sums do not depend on who added what. Between nodes the shares are fixed. Private to the room.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::train {

class UnitQueue {
 public:
  /// Collective over `node`, the ranks of this node among those of `whole`. `taken` is a number in memory
  /// that they share, zero, and outlives the queue.
  UnitQueue(const comm::Communicator& whole, comm::Communicator& node, int threads, std::uint64_t& taken);

  /// The thread's next micro-batch of this step, below `units`; none when nothing is left for it. By its own
  /// thread.
  std::optional<std::uint64_t> next(int thread, std::uint64_t units);
  /// The thread's step is over. By its own thread.
  void close(int thread) { begun_[static_cast<std::size_t>(thread)].value = false; }
  /// All threads of the node have closed, and none has begun the next step: one rank of the node calls.
  void restart();

 private:
  struct alignas(64) Begun {
    bool value = false;
  };

  /// The place-th micro-batch of this node's share.
  std::uint64_t unit_at(std::uint64_t place) const {
    return place / share_.size() * workers_ + share_[place % share_.size()];
  }

  std::uint64_t& taken_;
  std::size_t node_rank_;
  std::size_t node_ranks_;
  std::uint64_t workers_;             // threads of all ranks
  std::vector<std::uint64_t> share_;  // of each `workers_` micro-batches in a row, those of this node
  std::vector<Begun> begun_;          // one per thread
};

}  // namespace mgrn::train
