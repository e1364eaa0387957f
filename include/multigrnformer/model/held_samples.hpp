// SPDX-License-Identifier: Apache-2.0
// Samples that an engine makes itself, in the memory of its device, from genes' columns that it holds there:
// of a sample only the keys of its random numbers, or its cells, then leave the host. They are the bits that
// the host's sampler would gather (pairs/column_image.hpp says how columns lie and what the keys mean).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace mgrn::model {

/// Which cells a sample is drawn from: those in both genes' cell sets, in at least one, or all.
enum class DrawFrom { both, either, all };

/// One gene's columns in the host's memory.
struct HostColumns {
  std::span<const std::byte> cell_set;  ///< blocks of 32 bytes
  std::span<const std::byte> values;    ///< RNA and, with ATAC, RP of one cell after another
  float rna_step = 0, rp_step = 0;      ///< of 16-bit numbers; 0: floats
  std::int32_t rna_zero = 0, rp_zero = 0;
};

/// A dataset's columns, as they are handed to an engine.
struct ColumnTable {
  std::span<const HostColumns> genes;
  std::uint32_t cells = 0;  ///< of the dataset
  DrawFrom from = DrawFrom::both;
  bool atac = true;
};

/// Columns in the memory of a device; frees them in the end.
class HeldColumns {
 public:
  virtual ~HeldColumns() = default;
  HeldColumns() = default;
  HeldColumns(const HeldColumns&) = delete;
  HeldColumns& operator=(const HeldColumns&) = delete;
};

/// What became of a table that was handed to an engine. Neither columns nor problem: the engine computes in
/// the host's memory, and wants samples from there.
struct Holding {
  std::shared_ptr<const HeldColumns> columns;
  std::string problem;  ///< why the device cannot hold them: too little memory
  /// Samples have to bring their cells: the engine finds values itself, but draws no numbers.
  bool wants_cells = false;
};

/// A sample of genes of one table.
struct HeldSample {
  const HeldColumns* columns = nullptr;  ///< held by an engine of the same kind on the same device
  std::uint32_t tf = 0;                  ///< place among ColumnTable::genes
  std::uint32_t gene = 0;
  std::uint64_t cells_key = 0;
  std::uint64_t order_key = 0;
  bool reordered = false;
  std::span<const std::uint32_t> cells = {};  ///< [N] of the dataset, in order, where the engine wants them
};

}  // namespace mgrn::model
