// SPDX-License-Identifier: Apache-2.0
// Sums over ranks that share memory where they can: each adds its part of the array up over the ranks of its
// node, the nodes then talk with one message each, not one per rank. Internal to the room.
#pragma once

#include <cstdint>
#include <span>

#include "multigrnformer/comm/nodes.hpp"

namespace mgrn::comm {

class NodeSum {
 public:
  /// Collective. `whole` must outlive the object.
  explicit NodeSum(Communicator& whole);

  /// The same on all ranks: whether any of them has another one beside it.
  bool pays() const { return nodes_.most_ranks > 1; }
  /// Collective, in place, modulo 2^64, on any number of values, the same on every rank.
  void add_up(std::span<std::uint64_t> values);

 private:
  void make_room(std::size_t values);
  /// Of the array's values those that the node's `rank` adds up.
  std::span<std::uint64_t> part(std::span<std::uint64_t> values, int rank) const;

  Nodes nodes_;
  std::size_t room_ = 0;
  SharedMemory memory_;  // what each rank gives, then the sums: [ranks + 1][room]
};

}  // namespace mgrn::comm
