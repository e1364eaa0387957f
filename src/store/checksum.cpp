// SPDX-License-Identifier: Apache-2.0
#include "checksum.hpp"

#include <zlib.h>

namespace mgrn::store {

Checksum::Checksum(std::span<const std::byte> bytes)
    : crc_(static_cast<std::uint32_t>(
          crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()))),
      bytes_(bytes.size()) {
  if (bytes.empty()) {
    crc_ = 0;  // zlib takes a null pointer as a question for the start value, which is this
  }
}

void Checksum::append(const Checksum& next) {
  crc_ = static_cast<std::uint32_t>(crc32_combine(crc_, next.crc_, static_cast<z_off_t>(next.bytes_)));
  bytes_ += next.bytes_;
}

std::string Checksum::text() const {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (int shift = 28; shift >= 0; shift -= 4) {
    text += kHex[(crc_ >> static_cast<unsigned>(shift)) & 15U];
  }
  return text;
}

}  // namespace mgrn::store
