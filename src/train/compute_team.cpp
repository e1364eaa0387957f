// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/compute_team.hpp"

#include <chrono>
#include <system_error>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/train/method.hpp"

namespace mgrn::train {
namespace {

constexpr int kLooksBeforeYielding = 200;  // some microseconds
constexpr std::chrono::milliseconds kAwake{1};

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Until `value` is no longer `old`.
void await_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  const auto changed = [&] { return value.load(std::memory_order_acquire) != old; };
  for (int look = 0; look < kLooksBeforeYielding; ++look) {
    if (changed()) {
      return;
    }
    pause();
  }
  // Where there are more threads than cores, others have work for this one.
  for (const auto start = std::chrono::steady_clock::now();
       std::chrono::steady_clock::now() - start < kAwake;) {
    if (changed()) {
      return;
    }
    std::this_thread::yield();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

ComputeTeam::ComputeTeam(const Settings& settings, int gpu) : micro_batch_(settings.micro_batch) {
  if (settings.threads < 1) {
    throw base::UsageError({.what = "illegal number of threads",
                            .file = "train.threads",
                            .expected = "at least 1",
                            .got = std::to_string(settings.threads),
                            .hint = "set train.threads = 1"});
  }
  const auto threads = static_cast<std::size_t>(settings.threads);
  errors_.resize(threads);
  for (std::size_t thread = 0; thread < threads; ++thread) {
    engines_.push_back(method_of(settings).engine(settings, gpu));
  }
  try {
    for (int thread = 1; thread < settings.threads; ++thread) {
      helpers_.emplace_back([this, thread] { serve(thread); });
    }
  } catch (const std::system_error& error) {
    close();
    throw base::UsageError({.what = "the system refuses to start threads",
                            .file = "train.threads",
                            .expected = std::to_string(settings.threads) + " threads",
                            .got = error.what(),
                            .hint = "lower train.threads"});
  }
}

ComputeTeam::~ComputeTeam() {
  close();
}

void ComputeTeam::close() {
  closing_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (auto& helper : helpers_) {
    helper.join();
  }
}

void ComputeTeam::perform(int thread) {
  try {
    (*work_)(thread);
  } catch (...) {
    errors_[static_cast<std::size_t>(thread)] = std::current_exception();
  }
}

void ComputeTeam::serve(int thread) {
  for (std::uint32_t seen = 0;; ++seen) {
    await_change(round_, seen);
    if (closing_) {
      return;
    }
    perform(thread);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      busy_.notify_one();
    }
  }
}

void ComputeTeam::run(const std::function<void(int)>& work) {
  work_ = &work;
  busy_.store(static_cast<std::uint32_t>(threads() - 1), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  perform(0);
  for (std::uint32_t busy = busy_.load(std::memory_order_acquire); busy != 0;
       busy = busy_.load(std::memory_order_acquire)) {
    await_change(busy_, busy);
  }
  work_ = nullptr;
  std::exception_ptr first;
  for (auto& error : errors_) {
    const auto mine = std::exchange(error, nullptr);
    if (!first) {
      first = mine;
    }
  }
  if (first) {
    std::rethrow_exception(first);
  }
}

}  // namespace mgrn::train
