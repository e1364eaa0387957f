// SPDX-License-Identifier: Apache-2.0
// Genes' columns in the memory of a device, packed one behind another, and the rows that make samples of
// them.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "model/cuda/gather.hpp"
#include "model/cuda/step_api.hpp"

namespace mgrn::model::cuda {

struct HeldTable {
  virtual ~HeldTable() = default;
  std::vector<DeviceColumns> genes;
  std::uint32_t cells = 0, blocks = 0;
  std::int32_t from = 0, atac = 0;
};

inline GatherRow gather_row(const HeldRow& row) {
  const HeldTable& table = *row.table;
  return {table.genes.at(row.tf),
          table.genes.at(row.gene),
          row.cells_key,
          row.order_key,
          table.cells,
          table.blocks,
          table.from,
          table.atac,
          row.reordered};
}

/// `Memory`: of a Device (step.hpp).
template <typename Memory>
class HeldTableOf final : public HeldTable {
 public:
  HeldTableOf(const GeneTable& table, int sample_cells, int device) : memory_(device) {
    memory_.select();
    const std::size_t words = gather_words(sample_cells, table.blocks);
    if (words * sizeof(float) > memory_.shared_limit()) {
      throw std::runtime_error("drawing from " + std::to_string(table.cells) + " cells takes " +
                               std::to_string(words * sizeof(float)) +
                               " bytes of a block's memory, this device has " +
                               std::to_string(memory_.shared_limit()));
    }
    cells = table.cells;
    blocks = table.blocks;
    from = table.from;
    atac = table.atac;
    const std::size_t set_bytes = in_lines(table.blocks * sizeof(CellBlock));
    std::size_t bytes = 0;
    for (std::int64_t i = 0; i < table.gene_count; ++i)
      bytes += set_bytes + in_lines(table.genes[i].value_bytes);
    auto* to = allocate(bytes);
    for (std::int64_t i = 0; i < table.gene_count; ++i) {
      const GeneColumns& gene = table.genes[i];
      memory_.upload(to, gene.cell_set, table.blocks * sizeof(CellBlock));
      memory_.upload(to + set_bytes, gene.values, gene.value_bytes);
      genes.push_back({reinterpret_cast<const CellBlock*>(to), to + set_bytes, gene.rna_step, gene.rp_step,
                       gene.rna_zero, gene.rp_zero});
      to += set_bytes + in_lines(gene.value_bytes);
    }
    memory_.finish();
  }

 private:
  static std::size_t in_lines(std::size_t bytes) { return (bytes + 127) / 128 * 128; }
  std::byte* allocate(std::size_t bytes) {
    try {
      return static_cast<std::byte*>(memory_.allocate(bytes));
    } catch (const std::exception& error) {
      throw std::runtime_error(std::to_string(bytes >> 20) + " MiB of columns: " + error.what());
    }
  }

  Memory memory_;
};

}  // namespace mgrn::model::cuda
