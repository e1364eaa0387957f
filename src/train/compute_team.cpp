// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/compute_team.hpp"

#include <system_error>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/train/method.hpp"

namespace mgrn::train {
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
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    begin_.notify_all();
    for (auto& helper : helpers_) {
      helper.join();
    }
    throw base::UsageError({.what = "the system refuses to start threads",
                            .file = "train.threads",
                            .expected = std::to_string(settings.threads) + " threads",
                            .got = error.what(),
                            .hint = "lower train.threads"});
  }
}

ComputeTeam::~ComputeTeam() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  begin_.notify_all();
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
  std::uint64_t seen = 0;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      begin_.wait(lock, [&] { return closing_ || round_ != seen; });
      if (closing_) {
        return;
      }
      seen = round_;
    }
    perform(thread);
    {
      const std::lock_guard lock(mutex_);
      --busy_;
    }
    end_.notify_one();
  }
}

void ComputeTeam::run(const std::function<void(int)>& work) {
  {
    const std::lock_guard lock(mutex_);
    work_ = &work;
    busy_ = threads() - 1;
    ++round_;
  }
  begin_.notify_all();
  perform(0);
  {
    std::unique_lock lock(mutex_);
    end_.wait(lock, [&] { return busy_ == 0; });
    work_ = nullptr;
  }
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
