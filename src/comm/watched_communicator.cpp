// SPDX-License-Identifier: Apache-2.0
#include "watched_communicator.hpp"

#include <numeric>
#include <utility>

namespace mgrn::comm {

WatchedCommunicator::WatchedCommunicator(std::unique_ptr<Communicator> inner,
                                         std::shared_ptr<CollectiveWatch> watch, std::string name,
                                         std::vector<int> members)
    : inner_(std::move(inner)),
      watch_(std::move(watch)),
      name_(std::move(name)),
      members_(std::move(members)) {}

CollectiveRecord WatchedCommunicator::next(const Kind& kind) {
  CollectiveRecord record{.sequence = ++sequence_,
                          .count = kind.count,
                          .argument = kind.argument,
                          .operation = kind.operation,
                          .element = kind.element,
                          .carrier = kind.carrier};
  set_communicator_name(record, name_);
  return record;
}

void WatchedCommunicator::compare(const CollectiveRecord& mine) {
  const auto all = inner_->all_gather(std::as_bytes(std::span(&mine, 1)));
  const auto first = from_bytes<CollectiveRecord>(all.front()).at(0);
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    const auto theirs = from_bytes<CollectiveRecord>(all[rank]).at(0);
    if (!fit_together(first, theirs)) {
      base::CommunicationError error(
          {.what = "ranks entered different collectives",
           .expected = "as on rank " + std::to_string(members_[0]) + " " + describe(first),
           .got = describe(theirs),
           .hint = "this is a defect: please report it with the command line"});
      error.set_rank(members_[rank]);
      throw std::move(error);
    }
  }
}

CollectiveRecord WatchedCommunicator::enter(const Kind& kind) {
  const CollectiveRecord record = next(kind);
  watch_->enter(record, members_);
  if (watch_->compares()) {
    try {
      compare(record);
    } catch (...) {
      watch_->leave();
      throw;
    }
  }
  return record;
}

void WatchedCommunicator::begin(const Kind& kind) {
  enter(kind);
}

template <typename Call>
auto WatchedCommunicator::watched(const Kind& kind, Call&& call) {
  const CollectiveRecord record = enter(kind);
  struct Inside {
    explicit Inside(CollectiveWatch& its_watch) : watch(its_watch) {}
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside() { watch.leave(); }
    CollectiveWatch& watch;
  };
  const Inside inside(*watch_);
  try {
    return call();
  } catch (const base::CommunicationError& error) {
    base::ErrorText text = error.text();
    text.what += " in " + describe(record);
    throw base::CommunicationError(std::move(text));
  }
}

void WatchedCommunicator::barrier() {
  watched({Operation::barrier}, [&] { inner_->barrier(); });
}

void WatchedCommunicator::broadcast(std::span<std::byte> bytes, int root) {
  watched({Operation::broadcast, Element::bytes, bytes.size(), root},
          [&] { inner_->broadcast(bytes, root); });
}

void WatchedCommunicator::all_reduce(std::span<std::int64_t> values, Reduction reduction) {
  watched({Operation::all_reduce, Element::int64, values.size(), static_cast<int>(reduction)},
          [&] { inner_->all_reduce(values, reduction); });
}
void WatchedCommunicator::all_reduce(std::span<float> values, Reduction reduction) {
  watched({Operation::all_reduce, Element::float32, values.size(), static_cast<int>(reduction)},
          [&] { inner_->all_reduce(values, reduction); });
}
void WatchedCommunicator::all_reduce(std::span<double> values, Reduction reduction) {
  watched({Operation::all_reduce, Element::float64, values.size(), static_cast<int>(reduction)},
          [&] { inner_->all_reduce(values, reduction); });
}

std::vector<Bytes> WatchedCommunicator::all_gather(std::span<const std::byte> mine) {
  return watched({Operation::all_gather, Element::bytes, mine.size()},
                 [&] { return inner_->all_gather(mine); });
}

std::vector<Bytes> WatchedCommunicator::gather(std::span<const std::byte> mine, int root) {
  return watched({Operation::gather, Element::bytes, mine.size(), root},
                 [&] { return inner_->gather(mine, root); });
}

std::vector<Bytes> WatchedCommunicator::exchange(std::vector<Bytes> to_rank) {
  const auto bytes = std::accumulate(to_rank.begin(), to_rank.end(), std::uint64_t{0},
                                     [](std::uint64_t sum, const Bytes& part) { return sum + part.size(); });
  return watched({Operation::exchange, Element::bytes, bytes},
                 [&] { return inner_->exchange(std::move(to_rank)); });
}

template <typename Make>
std::unique_ptr<Communicator> WatchedCommunicator::part(Operation operation, Make&& make) {
  return watched({operation}, [&]() -> std::unique_ptr<Communicator> {
    std::unique_ptr<Communicator> made = make();
    const int mine = watch_->rank();
    std::vector<int> members;
    for (const auto& member : made->all_gather(std::as_bytes(std::span(&mine, 1)))) {
      members.push_back(from_bytes<int>(member).at(0));
    }
    // Parts made together have one number; the first member tells them apart.
    const std::string name = name_ + "." + std::to_string(sequence_) + ":" + std::to_string(members.front());
    return std::make_unique<WatchedCommunicator>(std::move(made), watch_, name, std::move(members));
  });
}

std::unique_ptr<Communicator> WatchedCommunicator::split(int group) {
  return part(Operation::split, [&] { return inner_->split(group); });
}

std::unique_ptr<Communicator> WatchedCommunicator::split_by_node() {
  return part(Operation::split_by_node, [&] { return inner_->split_by_node(); });
}

SharedMemory WatchedCommunicator::share_memory(std::uint64_t bytes) {
  return watched({Operation::share_memory, Element::bytes, bytes},
                 [&] { return inner_->share_memory(bytes); });
}

void watch(Communicator& communicator, const WatchSettings& settings) {
  if (auto* const watched = dynamic_cast<WatchedCommunicator*>(&communicator)) {
    watched->collective_watch().configure(settings);
  }
}

std::unique_ptr<Communicator> make_watched(std::unique_ptr<Communicator> communicator,
                                           const WatchSettings& settings) {
  std::vector<int> members(static_cast<std::size_t>(communicator->size()));
  std::iota(members.begin(), members.end(), 0);
  auto collective_watch = std::make_shared<CollectiveWatch>(communicator->rank(), settings);
  return std::make_unique<WatchedCommunicator>(std::move(communicator), std::move(collective_watch), "world",
                                               std::move(members));
}

}  // namespace mgrn::comm
