// SPDX-License-Identifier: Apache-2.0
// Which target comes next. Targets are dealt to the nodes in turn, the costliest first; within a node
// whichever thread is free takes the next one, by a counter in the memory that the node's ranks share.
// Nothing has to make progress in the background, as a one-sided counter between nodes would need while ranks
// compute. Internal to the room.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::baselines {

class TargetQueue {
 public:
  /// Collective; `targets` is the same on every rank, the costliest first. The ranks of a node let go of it
  /// together.
  TargetQueue(const std::vector<std::uint32_t>& targets, comm::Communicator& communicator);

  /// A target that nobody else gets; nothing when none is left on this node. Any thread.
  std::optional<std::uint32_t> next();

 private:
  std::vector<std::uint32_t> of_node_;
  comm::SharedMemory memory_;
};

}  // namespace mgrn::baselines
