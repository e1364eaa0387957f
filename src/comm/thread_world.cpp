// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/comm/thread_world.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "collective_arguments.hpp"

namespace mgrn::comm {
namespace {

// Thrown on ranks that another rank's failure woke; run_ranks prefers the cause.
struct WokenError : base::CommunicationError {
  using CommunicationError::CommunicationError;
};

// What all ranks share, whatever groups they form: who is gone.
struct World {
  explicit World(int ranks) : gone(static_cast<std::size_t>(ranks), false) {}

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<bool> gone;  // by world rank: its program has ended
  int failed = -1;         // world rank at fault: the first that threw, aborted, or was missed
  bool early = false;      // it did none of the first two: its program ended without entering a collective

  void leave(int rank, bool failure) {
    const std::lock_guard lock(mutex);
    gone[static_cast<std::size_t>(rank)] = true;
    if (failure && failed < 0) {
      failed = rank;
    }
    changed.notify_all();
  }
};

// What one rank hands to a collective. Stays valid until the collective's second rendezvous.
struct Offer {
  const char* operation = nullptr;
  std::uint64_t size = 0;  // must be equal on all ranks, where the collective says so
  int argument = 0;        // root or reduction: equal on all ranks
  const void* data = nullptr;
};

// The ranks of one communicator.
struct Group {
  Group(std::shared_ptr<World> in_world, std::vector<int> world_ranks)
      : world(std::move(in_world)), members(std::move(world_ranks)), offers(members.size()) {}

  std::shared_ptr<World> world;
  std::vector<int> members;  // world rank by group rank
  std::vector<Offer> offers;
  std::size_t arrived = 0;
  std::uint64_t generation = 0;

  // Returns when every member has come; throws when one cannot come any more.
  void meet(const char* operation) {
    std::unique_lock lock(world->mutex);
    if (++arrived == members.size()) {
      arrived = 0;
      ++generation;
      world->changed.notify_all();
      return;
    }
    const auto mine = generation;
    const auto missing = [&] {
      return std::find_if(members.begin(), members.end(),
                          [&](int rank) { return world->gone[static_cast<std::size_t>(rank)]; });
    };
    world->changed.wait(
        lock, [&] { return generation != mine || world->failed >= 0 || missing() != members.end(); });
    if (generation != mine) {
      return;
    }
    // Whoever notices first names the rank for all: the error that leaves here ends this rank too, and the
    // others must not take the messenger for the cause.
    if (world->failed < 0) {
      world->failed = *missing();
      world->early = true;
    }
    throw WokenError({.what = std::string(operation) + " cannot complete: rank " +
                              std::to_string(world->failed) +
                              (world->early ? " ended without entering it" : " failed")});
  }
};

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<Group> group, int rank) : group_(std::move(group)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(group_->members.size()); }
  std::string backend() const override { return "thread"; }

  void barrier() override {
    enter({.operation = "barrier"});
    leave("barrier");
  }

  void broadcast(std::span<std::byte> bytes, int root) override {
    check_root("broadcast", root, size());
    enter({"broadcast", bytes.size(), root, bytes.data()});
    if (rank_ != root && !bytes.empty()) {
      std::memcpy(bytes.data(), offer(root).data, bytes.size());
    }
    leave("broadcast");
  }

  void all_reduce(std::span<std::int64_t> values, Reduction reduction) override {
    reduce("all_reduce of int64", values, reduction);
  }
  void all_reduce(std::span<float> values, Reduction reduction) override {
    reduce("all_reduce of float", values, reduction);
  }
  void all_reduce(std::span<double> values, Reduction reduction) override {
    reduce("all_reduce of double", values, reduction);
  }

  std::vector<Bytes> all_gather(std::span<const std::byte> mine) override {
    enter({"all_gather", 0, 0, &mine});
    std::vector<Bytes> all = copy_all();
    leave("all_gather");
    return all;
  }

  std::vector<Bytes> gather(std::span<const std::byte> mine, int root) override {
    check_root("gather", root, size());
    enter({"gather", 0, root, &mine});
    std::vector<Bytes> all = rank_ == root ? copy_all() : std::vector<Bytes>();
    leave("gather");
    return all;
  }

  std::vector<Bytes> exchange(std::vector<Bytes> to_rank) override {
    check_destinations(to_rank.size(), size());
    std::vector<Bytes>* const mine = &to_rank;
    enter({"exchange", 0, 0, &mine});
    std::vector<Bytes> from;
    from.reserve(to_rank.size());
    for (int other = 0; other < size(); ++other) {
      // Only this rank reads the part that is meant for it, so it may take it.
      auto& parts = **static_cast<std::vector<Bytes>* const*>(offer(other).data);
      from.push_back(std::move(parts[static_cast<std::size_t>(rank_)]));
    }
    leave("exchange");
    return from;
  }

  std::unique_ptr<Communicator> split(int group) override {
    enter({"split", 0, 0, &group});
    std::vector<int> members;
    int leader = -1;
    int my_place = 0;
    for (int other = 0; other < size(); ++other) {
      if (*static_cast<const int*>(offer(other).data) != group) {
        continue;
      }
      leader = leader < 0 ? other : leader;
      my_place = other == rank_ ? static_cast<int>(members.size()) : my_place;
      members.push_back(group_->members[static_cast<std::size_t>(other)]);
    }
    leave("split");
    std::shared_ptr<Group> made;
    if (leader == rank_) {
      made = std::make_shared<Group>(group_->world, std::move(members));
    }
    enter({"split", 0, 0, &made});
    const auto joined = *static_cast<const std::shared_ptr<Group>*>(offer(leader).data);
    leave("split");
    return std::make_unique<ThreadCommunicator>(joined, my_place);
  }

  std::unique_ptr<Communicator> split_by_node() override { return split(0); }

  SharedMemory share_memory(std::uint64_t bytes) override {
    // The first rank allocates between two collectives: where it fails, all ranks are woken.
    SharedMemory memory = rank_ == 0 ? private_memory(bytes) : SharedMemory();
    enter({"share_memory", bytes, 0, &memory});
    const SharedMemory shared = *static_cast<const SharedMemory*>(offer(0).data);
    leave("share_memory");
    return shared;
  }

  void abort(base::ExitCode) noexcept override {
    group_->world->leave(group_->members[static_cast<std::size_t>(rank_)], true);
  }

 private:
  const Offer& offer(int rank) const { return group_->offers[static_cast<std::size_t>(rank)]; }

  // First rendezvous: all offers are there and fit together, or every rank throws.
  void enter(Offer mine) {
    group_->offers[static_cast<std::size_t>(rank_)] = mine;
    group_->meet(mine.operation);
    const Offer& first = offer(0);
    for (int other = 1; other < size(); ++other) {
      const Offer& theirs = offer(other);
      if (std::string_view(theirs.operation) != first.operation || theirs.size != first.size ||
          theirs.argument != first.argument) {
        const auto describe = [](const Offer& call) {
          return std::string(call.operation) + " (size " + std::to_string(call.size) + ", argument " +
                 std::to_string(call.argument) + ")";
        };
        const std::string expected = "on rank " + std::to_string(other) + " as on rank 0 " + describe(first);
        const std::string got = describe(theirs);
        leave(mine.operation);  // offers are read until here; then all ranks throw the same
        throw base::CommunicationError(
            {.what = "ranks entered different collectives", .expected = expected, .got = got});
      }
    }
  }
  // Second rendezvous: nobody reads this rank's memory any longer.
  void leave(const char* operation) { group_->meet(operation); }

  std::vector<Bytes> copy_all() const {
    std::vector<Bytes> all;
    all.reserve(group_->members.size());
    for (int other = 0; other < size(); ++other) {
      all.push_back(to_bytes(*static_cast<const std::span<const std::byte>*>(offer(other).data)));
    }
    return all;
  }

  template <typename T>
  static T combine(T a, T b, Reduction reduction) {
    switch (reduction) {
      case Reduction::maximum:
        return std::max(a, b);
      case Reduction::minimum:
        return std::min(a, b);
      case Reduction::sum:
        break;
    }
    if constexpr (std::is_same_v<T, std::int64_t>) {  // wraps, where signed addition would be undefined
      return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
    } else {
      return a + b;
    }
  }

  template <typename T>
  void reduce(const char* operation, std::span<T> values, Reduction reduction) {
    enter({operation, values.size(), static_cast<int>(reduction), values.data()});
    const T* first = static_cast<const T*>(offer(0).data);
    std::vector<T> result(first, first + values.size());
    for (int other = 1; other < size(); ++other) {
      const T* theirs = static_cast<const T*>(offer(other).data);
      for (std::size_t i = 0; i < result.size(); ++i) {
        result[i] = combine(result[i], theirs[i], reduction);
      }
    }
    leave(operation);
    std::copy(result.begin(), result.end(), values.begin());
  }

  std::shared_ptr<Group> group_;
  int rank_;
};

}  // namespace

void run_ranks(int ranks, const std::function<void(Communicator&)>& program) {
  if (ranks < 1) {
    throw base::InternalError({.what = "a world without ranks"});
  }
  const auto world = std::make_shared<World>(ranks);
  std::vector<int> members(static_cast<std::size_t>(ranks));
  std::iota(members.begin(), members.end(), 0);
  const auto group = std::make_shared<Group>(world, members);
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(ranks));
  std::vector<std::exception_ptr> woken(static_cast<std::size_t>(ranks));
  {
    std::vector<std::jthread> threads;
    threads.reserve(static_cast<std::size_t>(ranks));
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        const auto place = static_cast<std::size_t>(rank);
        bool failed = true;
        try {
          ThreadCommunicator communicator(group, rank);
          program(communicator);
          failed = false;
        } catch (WokenError& error) {
          error.set_rank(rank);
          woken[place] = std::current_exception();
        } catch (base::Error& error) {
          if (error.rank() < 0) {
            error.set_rank(rank);
          }
          failures[place] = std::current_exception();
        } catch (...) {
          failures[place] = std::current_exception();
        }
        world->leave(rank, failed);
      });
    }
  }
  for (const auto* errors : {&failures, &woken}) {
    for (const auto& error : *errors) {
      if (error) {
        std::rethrow_exception(error);
      }
    }
  }
}

}  // namespace mgrn::comm
