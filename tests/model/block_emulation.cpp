// SPDX-License-Identifier: Apache-2.0
#include "model/block_emulation.hpp"

#include <ucontext.h>

#include <cmath>
#include <exception>
#include <limits>
#include <memory>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace mgrn::model::test {
namespace {

constexpr std::size_t kStack = 256 * 1024;
constexpr int kWarp = cuda::kWarp;
// Barriers of a block: its own, 15 groups', and one per warp.
constexpr int kGroupBarriers = 16;

// AddressSanitizer keeps a shadow of the stack that runs; a switch must be announced before and after.
#if defined(__SANITIZE_ADDRESS__)
void before_switch(void** saved, const void* stack, std::size_t size) {
  __sanitizer_start_switch_fiber(saved, stack, size);
}
void after_switch(void* saved, const void** stack, std::size_t* size) {
  __sanitizer_finish_switch_fiber(saved, stack, size);
}
#else
void before_switch(void**, const void*, std::size_t) {}
void after_switch(void*, const void**, std::size_t*) {}
#endif

std::string describe(const std::source_location& place) {
  return std::string(place.file_name()) + ":" + std::to_string(place.line());
}

}  // namespace

class Fibers {
 public:
  Fibers(int threads, std::size_t shared_floats)
      : shared_(shared_floats), fibers_(static_cast<std::size_t>(threads)) {
    for (Fiber& fiber : fibers_) fiber.stack = std::make_unique_for_overwrite<std::byte[]>(kStack);
  }

  void run(int block, int blocks, const std::function<void(EmulatedBlock&)>& body, Order order) {
    const int threads = static_cast<int>(fibers_.size());
    body_ = &body;
    failure_ = nullptr;
    std::ranges::fill(shared_, std::numeric_limits<float>::quiet_NaN());
    barriers_.assign(static_cast<std::size_t>(kGroupBarriers + (threads + kWarp - 1) / kWarp), {});
    exchange_.assign(static_cast<std::size_t>(threads), {});
    int alive = threads;
    for (int thread = 0; thread < threads; ++thread) {
      Fiber& fiber = fibers_[static_cast<std::size_t>(thread)];
      fiber.waits = nullptr;
      fiber.done = false;
      EmulatedBlock& view = fiber.view;
      view = {};
      view.fibers_ = this;
      view.thread_ = thread;
      view.threads_ = threads;
      view.block_ = block;
      view.blocks_ = blocks;
      view.shared_ = shared_.data();
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = fiber.stack.get();
      fiber.context.uc_stack.ss_size = kStack;
      fiber.context.uc_link = nullptr;
      const auto self = reinterpret_cast<std::uintptr_t>(this);
      makecontext(&fiber.context, reinterpret_cast<void (*)()>(&Fibers::enter), 2,
                  static_cast<unsigned>(self & 0xffffffffu), static_cast<unsigned>(self >> 32));
    }
    while (alive > 0) {
      bool moved = false;
      for (std::size_t i = 0; i < fibers_.size(); ++i) {
        Fiber& fiber = fibers_[order == Order::ascending ? i : fibers_.size() - 1 - i];
        if (fiber.done || (fiber.waits != nullptr && fiber.waits->round == fiber.round)) continue;
        moved = true;
        current_ = &fiber;
        void* saved = nullptr;
        before_switch(&saved, fiber.stack.get(), kStack);
        swapcontext(&scheduler_, &fiber.context);
        after_switch(saved, nullptr, nullptr);
        if (failure_) std::rethrow_exception(failure_);
        if (fiber.done) --alive;
      }
      if (!moved) report_stuck();
    }
  }

  void wait(EmulatedBlock& view, std::size_t index, int expected, const std::source_location& place) {
    Barrier& barrier = barriers_[index];
    if (barrier.arrived == 0) {
      barrier.expected = expected;
      barrier.place = place;
    } else if (barrier.expected != expected || barrier.place.line() != place.line() ||
               std::string_view(barrier.place.file_name()) != place.file_name()) {
      throw DivergentBarrier("thread " + std::to_string(view.thread()) + " waits at " + describe(place) +
                             ", others of the same barrier at " + describe(barrier.place));
    }
    if (++barrier.arrived == barrier.expected) {
      barrier.arrived = 0;
      ++barrier.round;
      return;
    }
    Fiber& fiber = fibers_[static_cast<std::size_t>(view.thread())];
    fiber.waits = &barrier;
    fiber.round = barrier.round;
    leave(fiber, false);
    fiber.waits = nullptr;
  }

  /// Two places per thread, used in turn: an exchange needs one barrier, since nobody is two ahead.
  std::array<double, 2>& exchange(int thread) { return exchange_[static_cast<std::size_t>(thread)]; }

 private:
  struct Fiber {
    std::unique_ptr<std::byte[]> stack;
    ucontext_t context{};
    EmulatedBlock view;
    const Barrier* waits = nullptr;
    std::uint64_t round = 0;
    bool done = false;
  };

  static void enter(unsigned low, unsigned high) {
    auto* self = reinterpret_cast<Fibers*>(std::uintptr_t{low} | std::uintptr_t{high} << 32);
    after_switch(nullptr, &self->scheduler_stack_, &self->scheduler_stack_size_);
    Fiber& fiber = *self->current_;
    try {
      (*self->body_)(fiber.view);
    } catch (...) {
      self->failure_ = std::current_exception();
    }
    fiber.done = true;
    self->leave(fiber, true);
  }

  void leave(Fiber& fiber, bool forever) {
    void* saved = nullptr;
    before_switch(forever ? nullptr : &saved, scheduler_stack_, scheduler_stack_size_);
    swapcontext(&fiber.context, &scheduler_);
    after_switch(saved, &scheduler_stack_, &scheduler_stack_size_);
  }

  [[noreturn]] void report_stuck() const {
    std::string waiting;
    int finished = 0;
    const Barrier* last = nullptr;
    for (std::size_t i = 0; i < fibers_.size(); ++i) {
      finished += fibers_[i].done ? 1 : 0;
      if (fibers_[i].done || fibers_[i].waits == last) continue;
      last = fibers_[i].waits;
      waiting += "; thread " + std::to_string(i) + " waits at " + describe(last->place) + " with " +
                 std::to_string(last->arrived) + " of " + std::to_string(last->expected);
    }
    throw DivergentBarrier("no thread of the block can go on: " + std::to_string(finished) +
                           " have finished" + waiting);
  }

  std::vector<float> shared_;
  std::vector<Fiber> fibers_;
  std::vector<Barrier> barriers_;
  std::vector<std::array<double, 2>> exchange_;
  const std::function<void(EmulatedBlock&)>* body_ = nullptr;
  Fiber* current_ = nullptr;
  ucontext_t scheduler_{};
  const void* scheduler_stack_ = nullptr;
  std::size_t scheduler_stack_size_ = 0;
  std::exception_ptr failure_;
};

void EmulatedBlock::sync(Place place) {
  fibers_->wait(*this, 0, threads_, place);
}

void EmulatedBlock::sync_group(int group, int threads, Place place) {
  if (group < 0 || group + 1 >= kGroupBarriers || threads % kWarp != 0) {
    throw DivergentBarrier("a GPU has no barrier for group " + std::to_string(group) + " of " +
                           std::to_string(threads) + " threads");
  }
  fibers_->wait(*this, static_cast<std::size_t>(group + 1), threads, place);
}

void EmulatedBlock::sync_warp(Place place) {
  const int warp = thread_ / kWarp;
  const int lanes = std::min(kWarp, threads_ - warp * kWarp);
  fibers_->wait(*this, static_cast<std::size_t>(kGroupBarriers + warp), lanes, place);
}

float EmulatedBlock::shuffle_xor(float value, int lanes, Place place) {
  return static_cast<float>(shuffle_xor(static_cast<double>(value), lanes, place));
}

double EmulatedBlock::shuffle_xor(double value, int lanes, Place place) {
  const auto turn = static_cast<std::size_t>(exchanges_++ % 2);
  fibers_->exchange(thread_)[turn] = value;
  sync_warp(place);
  return fibers_->exchange(thread_ / kWarp * kWarp + (thread_ % kWarp ^ lanes))[turn];
}

void run_blocks(int blocks, int threads, std::size_t shared_floats,
                const std::function<void(EmulatedBlock&)>& body, Order order) {
  Fibers fibers(threads, shared_floats);
  for (int block = 0; block < blocks; ++block) fibers.run(block, blocks, body, order);
}

}  // namespace mgrn::model::test
