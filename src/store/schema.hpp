// SPDX-License-Identifier: Apache-2.0
// Names and sizes of the dataset file, shared by writer and reader. docs/formats.md tells the same in prose:
// a change here is a change there, and a new version.
#pragma once

#include <bit>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "checksum.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::store::schema {

// Checksums are taken of values in memory; the file's are little-endian.
static_assert(std::endian::native == std::endian::little,
              "the dataset file is written on little-endian hosts");

inline constexpr const char* kFormat = "multigrnformer dataset";
/// Elements per chunk of the matrices: 1 MiB, which is what HDF5's default chunk cache holds.
inline constexpr std::uint64_t kChunk = std::uint64_t{1} << 18;
/// zlib level: 1 is four times as fast as 4 for a few per cent of size.
inline constexpr int kDeflate = 1;

struct Column {
  const char* name;
  bool integer;  ///< uint32, else float32
};

inline const char* group_of(Layer layer) {
  return layer == Layer::rna ? "rna" : "rp";
}
inline std::vector<Column> columns_of(Layer layer) {
  std::vector<Column> columns{{"cell", true}, {"value", false}};
  if (layer == Layer::rna) {
    columns.push_back({"count", false});
  }
  return columns;
}
inline std::vector<Layer> layers_of(bool has_atac) {
  return has_atac ? std::vector{Layer::rna, Layer::rp} : std::vector{Layer::rna};
}

/// What the checksum "attributes" is taken of.
inline std::string attributes_text(int major, int minor, const std::string& id, std::uint64_t genes,
                                   std::uint64_t cells, bool has_atac) {
  return std::string("format=") + kFormat + "\nformat_version_major=" + std::to_string(major) +
         "\nformat_version_minor=" + std::to_string(minor) + "\nid=" + id +
         "\ngenes=" + std::to_string(genes) + "\ncells=" + std::to_string(cells) +
         "\nhas_atac=" + (has_atac ? "1" : "0") + "\n";
}

/// Each text, padded with NUL to `width`: the bytes of a dataset of fixed-length strings.
inline std::string padded(const std::vector<std::string>& texts, std::size_t width) {
  std::string bytes;
  bytes.reserve(texts.size() * width);
  for (const auto& text : texts) {
    bytes += text;
    bytes.append(width - text.size(), '\0');
  }
  return bytes;
}

/// HDF5 is not thread-safe, and ranks may be threads: held round every use of HDF5 in this room. Never held
/// while entering a collective of a Communicator.
inline std::unique_lock<std::recursive_mutex> lock_hdf5() {
  static std::recursive_mutex mutex;
  return std::unique_lock(mutex);
}

}  // namespace mgrn::store::schema
