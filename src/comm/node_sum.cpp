// SPDX-License-Identifier: Apache-2.0
#include "node_sum.hpp"

#include <algorithm>

namespace mgrn::comm {

namespace {

constexpr std::size_t kValuesOfLine = 8;

}  // namespace

NodeSum::NodeSum(Communicator& whole) : nodes_(find_nodes(whole)) {}

void NodeSum::make_room(std::size_t values) {
  if (values <= room_) {
    return;
  }
  room_ = (values + kValuesOfLine - 1) / kValuesOfLine * kValuesOfLine;
  memory_ = nodes_.node->share_memory((static_cast<std::uint64_t>(nodes_.node->size()) + 1) * room_ *
                                      sizeof(std::uint64_t));
}

std::span<std::uint64_t> NodeSum::part(std::span<std::uint64_t> values, int rank) const {
  // Whole cache lines, so that no two ranks write to one.
  const auto ranks = static_cast<std::size_t>(nodes_.node->size());
  const std::size_t lines = (values.size() + kValuesOfLine - 1) / kValuesOfLine;
  const auto at = [&](std::size_t r) { return std::min(values.size(), lines * r / ranks * kValuesOfLine); };
  const auto r = static_cast<std::size_t>(rank);
  return values.subspan(at(r), at(r + 1) - at(r));
}

void NodeSum::add_up(std::span<std::uint64_t> values) {
  make_room(values.size());
  auto* const shared = reinterpret_cast<std::uint64_t*>(memory_.bytes().data());
  const int ranks = nodes_.node->size();
  const int rank = nodes_.node->rank();
  const auto given = [&](int r) {
    return std::span(shared + static_cast<std::size_t>(r) * room_, values.size());
  };
  const auto sums = given(ranks);
  const auto copy = [](std::span<const std::uint64_t> from, std::span<std::uint64_t> to) {
    std::copy(from.begin(), from.end(), to.begin());
  };
  for (int r = 0; r < ranks; ++r) {
    if (r != rank) {
      copy(part(values, r), part(given(rank), r));
    }
  }
  nodes_.node->barrier();
  const auto mine = part(values, rank);
  for (int r = 0; r < ranks; ++r) {
    if (r != rank) {
      const auto theirs = part(given(r), rank);
      for (std::size_t i = 0; i < mine.size(); ++i) {
        mine[i] += theirs[i];
      }
    }
  }
  copy(mine, part(sums, rank));
  nodes_.node->barrier();
  if (nodes_.several) {
    if (rank == 0) {
      nodes_.leaders->all_reduce(std::span(reinterpret_cast<std::int64_t*>(sums.data()), sums.size()),
                                 Reduction::sum);
    }
    nodes_.node->barrier();
    copy(sums, values);
    return;
  }
  // The next call writes sums only after a barrier that ranks enter when they have read these.
  for (int r = 0; r < ranks; ++r) {
    if (r != rank) {
      copy(part(sums, r), part(values, r));
    }
  }
}

}  // namespace mgrn::comm
