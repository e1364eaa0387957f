// SPDX-License-Identifier: Apache-2.0
// Memory for arrays that kernels walk across in strides of many pages: weights, gradients, activations. Large
// ones lie on huge pages where the system has them, since a stride of 8 KB meets more small pages than the
// processor's first translation buffer holds.
#pragma once

#include <cstddef>
#include <vector>

namespace mgrn::base {

/// At least 64-byte aligned; 2 MiB and more of address space, on request of huge pages, from kLargeBytes on.
/// Throws std::bad_alloc. Not zeroed.
void* allocate_large(std::size_t bytes);
void free_large(void* memory) noexcept;

/// For standard containers.
template <typename Value>
struct LargeAllocator {
  using value_type = Value;
  LargeAllocator() = default;
  template <typename Other>
  LargeAllocator(const LargeAllocator<Other>&) {
  }  // NOLINT(google-explicit-constructor): as containers need it
  Value* allocate(std::size_t count) { return static_cast<Value*>(allocate_large(count * sizeof(Value))); }
  void deallocate(Value* memory, std::size_t) noexcept { free_large(memory); }
  template <typename Other>
  bool operator==(const LargeAllocator<Other>&) const {
    return true;
  }
};

template <typename Value>
using LargeArray = std::vector<Value, LargeAllocator<Value>>;

}  // namespace mgrn::base
