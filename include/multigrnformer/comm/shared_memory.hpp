// SPDX-License-Identifier: Apache-2.0
// Memory that all ranks of a node see: one copy of what would otherwise be held once per rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace mgrn::comm {

/// A handle; copies share the memory, and the last one of a rank lets go of it. Made by
/// Communicator::share_memory. Pages take room only once they are written.
class SharedMemory {
 public:
  SharedMemory() = default;
  /// `owner` releases `bytes` when its last copy goes.
  SharedMemory(std::shared_ptr<void> owner, std::span<std::byte> bytes)
      : owner_(std::move(owner)), bytes_(bytes) {}

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::shared_ptr<void> owner_;
  std::span<std::byte> bytes_;
};

/// Memory of this process alone, zeroed, on a page boundary. Throws std::bad_alloc.
SharedMemory private_memory(std::uint64_t bytes);

}  // namespace mgrn::comm
