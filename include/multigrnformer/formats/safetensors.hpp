// SPDX-License-Identifier: Apache-2.0
// The safetensors container: little-endian header length, JSON header, raw tensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mgrn::formats {

enum class TensorType { float32, float64, int64, uint8 };

struct Tensor {
  TensorType type = TensorType::float32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;  ///< row-major, little-endian
};

struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Byte-stable: names sorted, header padded to 8 bytes. Does not make the file durable or atomic: callers
/// write into an AtomicFile or AtomicDirectory.
void write_safetensors(const std::filesystem::path& file, const TensorFile& content);
/// Throws DataError on a truncated or malformed file.
TensorFile read_safetensors(const std::filesystem::path& file);

}  // namespace mgrn::formats
