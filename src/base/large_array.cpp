// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/large_array.hpp"

#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mgrn::base {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
// Below this a page of 2 MiB would be mostly air.
constexpr std::size_t kLargeBytes = std::size_t{512} << 10;

}  // namespace

void* allocate_large(std::size_t bytes) {
  const std::size_t alignment = bytes >= kLargeBytes ? kHugePage : kCacheLine;
  if (bytes > static_cast<std::size_t>(-1) - alignment) throw std::bad_alloc();
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  // A wish: systems without huge pages to spare give small ones.
  if (alignment == kHugePage) ::madvise(memory, rounded, MADV_HUGEPAGE);
#endif
  return memory;
}

void free_large(void* memory) noexcept {
  std::free(memory);  // NOLINT(cppcoreguidelines-no-malloc): this is what the owner's destructor calls
}

}  // namespace mgrn::base
