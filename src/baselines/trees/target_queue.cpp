// SPDX-License-Identifier: Apache-2.0
#include "target_queue.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace mgrn::baselines {

TargetQueue::TargetQueue(const std::vector<std::uint32_t>& targets, comm::Communicator& communicator) {
  const auto node = communicator.split_by_node();
  // A node is known by its lowest rank.
  std::array<std::int64_t, 1> lowest = {communicator.rank()};
  node->all_reduce(std::span<std::int64_t>(lowest), comm::Reduction::minimum);
  std::vector<std::int64_t> nodes;
  for (const auto& bytes : communicator.all_gather(std::as_bytes(std::span(lowest)))) {
    nodes.push_back(comm::from_bytes<std::int64_t>(bytes).front());
  }
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  const auto mine = std::lower_bound(nodes.begin(), nodes.end(), lowest[0]) - nodes.begin();
  for (auto i = static_cast<std::size_t>(mine); i < targets.size(); i += nodes.size()) {
    of_node_.push_back(targets[i]);
  }
  memory_ = node->share_memory(sizeof(std::uint64_t));
}

std::optional<std::uint32_t> TargetQueue::next() {
  auto& taken = *reinterpret_cast<std::uint64_t*>(memory_.bytes().data());
  const std::uint64_t place = std::atomic_ref<std::uint64_t>(taken).fetch_add(1);
  return place < of_node_.size() ? std::optional(of_node_[place]) : std::nullopt;
}

}  // namespace mgrn::baselines
