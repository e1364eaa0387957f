// SPDX-License-Identifier: Apache-2.0
#include "unit_queue.hpp"

#include <atomic>
#include <span>

namespace mgrn::train {

UnitQueue::UnitQueue(const comm::Communicator& whole, comm::Communicator& node, int threads,
                     std::uint64_t& taken)
    : taken_(taken),
      node_rank_(static_cast<std::size_t>(node.rank())),
      node_ranks_(static_cast<std::size_t>(node.size())),
      workers_(static_cast<std::uint64_t>(whole.size()) * static_cast<std::uint64_t>(threads)),
      begun_(static_cast<std::size_t>(threads)) {
  const std::uint64_t mine = static_cast<std::uint64_t>(whole.rank());
  std::vector<std::uint64_t> ranks;
  for (const auto& bytes : node.all_gather(std::as_bytes(std::span(&mine, 1)))) {
    ranks.push_back(comm::from_bytes<std::uint64_t>(bytes).at(0));
  }
  for (std::uint64_t thread = 0; thread < static_cast<std::uint64_t>(threads); ++thread) {
    for (const std::uint64_t rank : ranks) {
      share_.push_back(thread * static_cast<std::uint64_t>(whole.size()) + rank);
    }
  }
}

std::optional<std::uint64_t> UnitQueue::next(int thread, std::uint64_t units) {
  std::uint64_t place = static_cast<std::uint64_t>(thread) * node_ranks_ + node_rank_;
  if (begun_[static_cast<std::size_t>(thread)].value) {
    place = share_.size() + std::atomic_ref(taken_).fetch_add(1, std::memory_order_relaxed);
  }
  begun_[static_cast<std::size_t>(thread)].value = true;
  const std::uint64_t unit = unit_at(place);
  return unit < units ? std::optional(unit) : std::nullopt;
}

void UnitQueue::restart() {
  std::atomic_ref(taken_).store(0, std::memory_order_relaxed);
}

}  // namespace mgrn::train
