// SPDX-License-Identifier: Apache-2.0
// Writes checkpoints beside the training: the state is copied, a thread writes the copy, training goes on.
// One checkpoint is in flight at most, so they reach the disk in order and memory holds one copy. Not
// collective: rank 0 alone has one, and one thread calls it. A write that failed is told by the next call,
// not by the one that began it; the older checkpoints are then still there.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "multigrnformer/train/checkpoint.hpp"
#include "multigrnformer/train/training_state.hpp"

namespace mgrn::train {

class CheckpointWriter {
 public:
  /// Both must outlive the writer.
  CheckpointWriter(CheckpointStore& store, const Identity& identity) : store_(store), identity_(identity) {}
  /// Waits for the checkpoint in flight. An error that nobody asked for any more is a warning.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Copies `state` and returns; the copy is written meanwhile. Waits first for the checkpoint in flight.
  /// Throws that one's error.
  void start(const TrainingState& state);
  /// The error of a write that has ended, once; null while it goes on or went well. Never waits.
  std::exception_ptr take_error();
  /// Waits until all is durable. Throws what went wrong.
  void finish();
  /// Seconds that start() and finish() have held the caller up, since the beginning.
  double seconds_waited() const { return seconds_waited_; }

 private:
  void wait();

  CheckpointStore& store_;
  const Identity& identity_;
  std::unique_ptr<TrainingState> copy_;  // belongs to the thread while that runs
  std::thread thread_;
  std::mutex mutex_;  // guards error_
  std::exception_ptr error_;
  double seconds_waited_ = 0;
};

}  // namespace mgrn::train
