// SPDX-License-Identifier: Apache-2.0
// A made-up dataset, large enough for several chunks, as pure functions of gene and cell.
#pragma once

#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::store {

struct Example {
  std::uint64_t genes = 500;
  std::uint64_t cells = 2000;
  bool has_atac = true;
  std::uint64_t block = 120;  ///< genes per append, over all ranks
};

inline std::uint64_t mixed(std::uint64_t value) {  // splitmix64
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

/// The row of a gene. Gene 7 has none, gene 8 has every cell; values are hard to compress.
inline GeneRow example_row(const Example& example, Layer layer, std::uint64_t gene) {
  GeneRow row;
  const std::uint64_t name = gene * 2 + (layer == Layer::rp ? 1 : 0);
  for (std::uint32_t cell = 0; cell < example.cells; ++cell) {
    const std::uint64_t draw = mixed(name * 1000003U + cell);
    if (gene != 8 && (gene == 7 || draw % 100 >= (layer == Layer::rp ? 70 : 55))) {
      continue;
    }
    row.cell.push_back(cell);
    row.value.push_back(static_cast<float>(static_cast<double>(draw >> 11U) * 0x1p-52 - 1.0));
    if (layer == Layer::rna) {
      row.count.push_back(static_cast<float>(1 + draw % 7));
    }
  }
  return row;
}

inline DatasetHeader example_header(const Example& example) {
  DatasetHeader header;
  header.id = "0123456789abcdef";
  header.has_atac = example.has_atac;
  for (std::uint64_t gene = 0; gene < example.genes; ++gene) {
    header.genes.push_back("Gene" + std::to_string(10000 + gene) + (gene == 3 ? "-\xc3\xa9" : ""));
    header.variance.push_back(static_cast<double>(gene) * 0.37);
    header.vst.push_back(1.0 / static_cast<double>(gene + 1));
    header.rna_background.push_back(-0.25F * static_cast<float>(gene));
    if (example.has_atac) {
      header.rp_background.push_back(0.5F - static_cast<float>(gene));
    }
  }
  for (std::uint64_t cell = 0; cell < example.cells; ++cell) {
    header.barcodes.push_back("BARCODE" + std::to_string(cell) + "-1");
  }
  header.settings = R"({"clip":10.0,"rna":"lognorm+z"})";
  header.sources = R"([{"bytes":12345,"name":"multiome.h5"}])";
  header.quality =
      R"({"dropped":{"few_counts":17},"note":")" + std::string(70000, 'x') + "\"}";  // beyond 64 KiB
  return header;
}

inline GeneRows example_rows(const Example& example, Layer layer, std::uint64_t first, std::uint64_t last) {
  GeneRows rows;
  rows.first_gene = first;
  rows.offsets.push_back(0);
  for (auto gene = first; gene < last; ++gene) {
    const GeneRow row = example_row(example, layer, gene);
    rows.cell.insert(rows.cell.end(), row.cell.begin(), row.cell.end());
    rows.value.insert(rows.value.end(), row.value.begin(), row.value.end());
    rows.count.insert(rows.count.end(), row.count.begin(), row.count.end());
    rows.offsets.push_back(rows.cell.size());
  }
  return rows;
}

/// Collective. Appends a layer in blocks; of each block the ranks hand over unequal shares, some none.
inline void append_example(comm::Communicator& communicator, DatasetWriter& writer, const Example& example,
                           Layer layer) {
  const auto ranks = static_cast<std::uint64_t>(communicator.size());
  const auto rank = static_cast<std::uint64_t>(communicator.rank());
  for (std::uint64_t first = 0; first < example.genes; first += example.block) {
    const auto last = std::min(first + example.block, example.genes);
    const auto cut = [&](std::uint64_t part) {
      return first + (last - first) * part * part / (ranks * ranks);
    };
    if (first == example.block && ranks > 1) {  // one block wholly from the last rank
      const bool mine = rank + 1 == ranks;
      writer.append(layer, mine ? example_rows(example, layer, first, last) : GeneRows{});
      continue;
    }
    writer.append(layer, example_rows(example, layer, cut(rank), cut(rank + 1)));
  }
}

/// Collective.
inline void write_example(comm::Communicator& communicator, const std::filesystem::path& file,
                          const Example& example = {}) {
  DatasetWriter writer(communicator, file);
  append_example(communicator, writer, example, Layer::rna);
  if (example.has_atac) {
    append_example(communicator, writer, example, Layer::rp);
  }
  writer.finish(example_header(example));
}

/// Files in a folder, hidden ones too.
inline std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// A file system of a few MiB at `folder`, for as long as the object lives. Only root may make one.
class SmallDisk {
 public:
  SmallDisk(const std::filesystem::path& folder, const std::string& size) : folder_(folder) {
    std::filesystem::create_directories(folder_);
    const std::string option = "size=" + size;
    mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, option.c_str()) == 0;
    reason_ = mounted_ ? "" : std::strerror(errno);
  }
  ~SmallDisk() {
    if (mounted_) {
      ::umount2(folder_.c_str(), MNT_DETACH);
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  const std::string& reason() const { return reason_; }

 private:
  std::filesystem::path folder_;
  bool mounted_ = false;
  std::string reason_;
};

}  // namespace mgrn::store
