// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/checkpoint_writer.hpp"

#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"

namespace mgrn::train {
namespace {

using Clock = std::chrono::steady_clock;

// Adds the time that it lives, also when an error ends it.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() { seconds_ += std::chrono::duration<double>(Clock::now() - start_).count(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

CheckpointWriter::~CheckpointWriter() {
  wait();
  if (const auto error = take_error()) {
    try {
      std::rethrow_exception(error);
    } catch (const base::Error& known) {
      base::warn("the last checkpoint is not written: " + known.text().what + ": " + known.text().got);
    } catch (const std::exception& other) {
      base::warn(std::string("the last checkpoint is not written: ") + other.what());
    }
  }
}

void CheckpointWriter::start(const TrainingState& state) {
  const Stopwatch stopwatch(seconds_waited_);
  wait();
  if (auto error = take_error()) {
    std::rethrow_exception(error);
  }
  if (copy_) {
    *copy_ = state;  // into the memory of the last copy
  } else {
    copy_ = std::make_unique<TrainingState>(state);
  }
  try {
    thread_ = std::thread([this] {
      try {
        store_.write(*copy_, identity_);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        error_ = std::current_exception();
      }
    });
  } catch (const std::system_error& error) {
    throw base::InternalError({.what = "cannot start the thread that writes checkpoints",
                               .got = error.what(),
                               .hint = "raise the limit on processes of a user (ulimit -u), or use fewer "
                                       "ranks per node"});
  }
}

std::exception_ptr CheckpointWriter::take_error() {
  const std::lock_guard lock(mutex_);
  return std::exchange(error_, nullptr);
}

void CheckpointWriter::finish() {
  const Stopwatch stopwatch(seconds_waited_);
  wait();
  if (auto error = take_error()) {
    std::rethrow_exception(error);
  }
}

void CheckpointWriter::wait() {
  if (thread_.joinable()) {
    thread_.join();
  }
}

}  // namespace mgrn::train
