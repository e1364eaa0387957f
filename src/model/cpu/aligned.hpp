// SPDX-License-Identifier: Apache-2.0
// The kernels' storage.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

#include "multigrnformer/base/large_array.hpp"

namespace mgrn::model::cpu {

/// Zeroed storage of plain values on a 64-byte boundary, on huge pages where it is large.
template <typename Value>
class Aligned {
 public:
  explicit Aligned(std::size_t count) : count_(count) {
    const std::size_t bytes = std::max<std::size_t>(count, 1) * sizeof(Value);
    data_ = static_cast<Value*>(base::allocate_large(bytes));
    std::memset(static_cast<void*>(data_), 0, bytes);
  }
  ~Aligned() { base::free_large(data_); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  Aligned(Aligned&& other) noexcept : data_(std::exchange(other.data_, nullptr)), count_(other.count_) {}
  Aligned& operator=(Aligned&&) = delete;

  Value* data() { return data_; }
  const Value* data() const { return data_; }
  std::size_t size() const { return count_; }

 private:
  Value* data_;
  std::size_t count_;
};

}  // namespace mgrn::model::cpu
