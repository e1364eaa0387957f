// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/comm/shared_memory.hpp"

#include <sys/mman.h>

#include <new>

namespace mgrn::comm {

SharedMemory private_memory(std::uint64_t bytes) {
  if (bytes == 0) {
    return {};
  }
  // Without reservation: who asks for an upper bound takes only what is written.
  void* place =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED) {
    throw std::bad_alloc();
  }
  // Random reads of gigabytes miss the translation cache at every step with small pages. Only advice: a
  // system without huge pages goes on with small ones.
  ::madvise(place, bytes, MADV_HUGEPAGE);
  const std::shared_ptr<void> owner(place, [bytes](void* mapped) { ::munmap(mapped, bytes); });
  return {owner, {static_cast<std::byte*>(place), bytes}};
}

}  // namespace mgrn::comm
