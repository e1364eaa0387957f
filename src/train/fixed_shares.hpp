// SPDX-License-Identifier: Apache-2.0
// Micro-batches dealt to threads of ranks in turn, the same ones always: where sums depend on who adds what,
// or where all are as fast. Private to the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::train {

class FixedShares {
 public:
  FixedShares(const comm::Communicator& whole, int threads)
      : rank_(static_cast<std::uint64_t>(whole.rank())),
        ranks_(static_cast<std::uint64_t>(whole.size())),
        rounds_(static_cast<std::size_t>(threads)) {}

  /// As UnitQueue's.
  std::optional<std::uint64_t> next(int thread, std::uint64_t units) {
    const std::uint64_t round = rounds_[static_cast<std::size_t>(thread)]++;
    const std::uint64_t unit = (round * rounds_.size() + static_cast<std::uint64_t>(thread)) * ranks_ + rank_;
    return unit < units ? std::optional(unit) : std::nullopt;
  }
  void close(int thread) { rounds_[static_cast<std::size_t>(thread)] = 0; }

 private:
  std::uint64_t rank_;
  std::uint64_t ranks_;
  std::vector<std::uint64_t> rounds_;  // one per thread: its micro-batches of this step so far
};

}  // namespace mgrn::train
