// SPDX-License-Identifier: Apache-2.0
// Runs the body of a kernel on the processor: the threads of a block are fibers of one thread, with real
// barriers, real exchanges between lanes, and shared memory that starts as NaN. What would hang or race on a
// GPU is an error here: threads that wait at different barriers, or at one that others never reach.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <source_location>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "model/cuda/layout.hpp"

namespace mgrn::model::test {

/// Threads of a block that cannot all go on.
struct DivergentBarrier : std::logic_error {
  using std::logic_error::logic_error;
};

class Fibers;

/// One barrier at a time of a fixed set of threads.
struct Barrier {
  int expected = 0;
  int arrived = 0;
  std::uint64_t round = 0;
  std::source_location place;
};

/// What a kernel's body knows of its thread (src/model/cuda/group.hpp).
class EmulatedBlock {
 public:
  using Place = std::source_location;
  int thread() const { return thread_; }
  int threads() const { return threads_; }
  int block() const { return block_; }
  int blocks() const { return blocks_; }
  float* shared() const { return shared_; }
  void sync(Place place = Place::current());
  void sync_group(int group, int threads, Place place = Place::current());
  void sync_warp(Place place = Place::current());
  void prefetch(const float* /*place*/) {}
  float shuffle_xor(float value, int lanes, Place place = Place::current());
  double shuffle_xor(double value, int lanes, Place place = Place::current());
  void atomic_max(std::uint32_t* place, std::uint32_t value) { *place = *place < value ? value : *place; }
  void atomic_add(std::uint32_t* place, std::uint32_t value) { *place += value; }

 private:
  friend class Fibers;
  Fibers* fibers_ = nullptr;
  int thread_ = 0, threads_ = 0, block_ = 0, blocks_ = 0;
  float* shared_ = nullptr;
  int exchanges_ = 0;
};

/// Which thread of those that can go on does. A body whose result depends on it lacks a barrier.
enum class Order { ascending, descending };

/// Runs `body` once per thread of each of `blocks` blocks, one block after another. Rethrows what a body
/// throws; throws DivergentBarrier.
void run_blocks(int blocks, int threads, std::size_t shared_floats,
                const std::function<void(EmulatedBlock&)>& body, Order order = Order::ascending);

}  // namespace mgrn::model::test
