// SPDX-License-Identifier: Apache-2.0
// A Device (src/model/cuda/step.hpp) whose kernels run under block emulation, whose matrix products are plain
// loops, and whose memory starts as NaN.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "model/block_emulation.hpp"
#include "model/cuda/step.hpp"

namespace mgrn::model::test {

template <Order kOrder = Order::ascending>
class EmulatedDevice {
 public:
  using Memory = EmulatedDevice;
  explicit EmulatedDevice(int /*device*/) {}

  static int device_count(cuda::Message* /*message*/) { return 4; }
  static std::string device_name(int device) {
    if (device < 0 || device >= 4) throw std::runtime_error("no such device");
    return "emulated " + std::to_string(device);
  }
  std::size_t shared_limit() const { return 160 * 1024; }
  void select() {}
  void* allocate(std::size_t bytes) {
    memory_.push_back(std::make_unique_for_overwrite<std::byte[]>(std::max<std::size_t>(bytes, 1)));
    std::memset(memory_.back().get(), 0xff, bytes);
    return memory_.back().get();
  }
  void* allocate_staging(std::size_t bytes) { return allocate(bytes); }
  void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  void upload(void* to, const void* from, std::size_t bytes) { copy(to, from, bytes); }
  void download(void* to, const void* from, std::size_t bytes) { copy(to, from, bytes); }
  void zero(void* place, std::size_t bytes) { std::memset(place, 0, bytes); }
  void finish() {}
  template <typename Work>
  void replay(int /*graph*/, const Work& work) {
    work();
  }

  template <typename Body>
  void launch(const Body& body, int blocks, int threads, std::size_t shared_bytes) {
    if (threads > Body::kMostThreads || shared_bytes > shared_limit()) {
      throw std::logic_error("a GPU would not start this kernel");
    }
    // To the float: AddressSanitizer sees a body that reaches beyond what it asked for.
    run_blocks(
        blocks, threads, shared_bytes / sizeof(float), [&](EmulatedBlock& block) { body(block); }, kOrder);
  }

  void multiply(bool a_transposed, bool b_transposed, int m, int n, int k, const float* a, const float* b,
                float* c) {
    const auto at = [](bool transposed, int rows, int columns, int row, int column) {
      return transposed ? std::int64_t{column} * rows + row : std::int64_t{row} * columns + column;
    };
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) {
        float total = 0.0f;
        for (int first = 0; first < k; first += 32) {
          float part = 0.0f;
          for (int l = first; l < std::min(k, first + 32); ++l)
            part = std::fma(a[at(a_transposed, m, k, i, l)], b[at(b_transposed, k, n, l, j)], part);
          total += part;
        }
        c[std::int64_t{i} * n + j] = total;
      }
    }
  }

 private:
  std::vector<std::unique_ptr<std::byte[]>> memory_;
};

}  // namespace mgrn::model::test
