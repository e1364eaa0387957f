// SPDX-License-Identifier: Apache-2.0
// CRC-32 (zlib's) of a dataset's bytes, put together from pieces: the result does not depend on how ranks
// divided the work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace mgrn::store {

class Checksum {
 public:
  Checksum() = default;
  explicit Checksum(std::span<const std::byte> bytes);

  /// As if `next`'s bytes followed this one's.
  void append(const Checksum& next);
  /// Eight lower-case hexadecimal digits.
  std::string text() const;

 private:
  std::uint32_t crc_ = 0;
  std::uint32_t unused_ = 0;  // no padding: checksums travel between ranks as bytes
  std::uint64_t bytes_ = 0;
};

template <typename T>
Checksum checksum_of(std::span<const T> values) {
  return Checksum(std::as_bytes(values));
}

}  // namespace mgrn::store
