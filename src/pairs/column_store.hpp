// SPDX-License-Identifier: Apache-2.0
// The columns of all genes in use, in one block of memory that the ranks of a node share. Internal to the
// room.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gene_column.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/pairs/sampler.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::pairs {

/// What is held of each gene.
struct ColumnChoice {
  bool atac = true;         ///< regulatory potentials beside the RNA
  bool compact = false;     ///< 16 bits where a gene's values allow them
  bool every_cell = false;  ///< values of every cell, found by its number; else of expressed cells, by rank
};

/// Columns of the genes, in the order asked for, repeats left out.
class ColumnStore {
 public:
  ColumnStore() = default;
  /// Collective.
  ColumnStore(const store::Dataset& dataset, std::span<const std::uint32_t> wanted,
              const ColumnChoice& choice, comm::Communicator& communicator);
  ColumnStore(std::uint32_t cells, std::span<const SamplerGene> given, const ColumnChoice& choice);

  std::uint32_t cells() const { return cells_; }  ///< of the dataset
  std::size_t blocks() const { return blocks_; }  ///< of each cell set
  /// Null for a gene that was not loaded.
  const GeneColumns* find(std::uint32_t gene) const {
    return gene < place_.size() && place_[gene] != kAbsent ? &columns_[place_[gene]] : nullptr;
  }
  /// Where the gene is among those loaded; it must be.
  std::uint32_t place(std::uint32_t gene) const { return place_[gene]; }
  std::uint64_t bytes() const { return bytes_; }
  /// Of the genes by place().
  std::span<const GeneColumns> all() const { return columns_; }

 private:
  static constexpr std::uint32_t kAbsent = 0xFFFFFFFF;

  std::vector<std::uint32_t> enter(std::span<const std::uint32_t> genes, std::size_t in_dataset);
  void open(std::span<const StoredColumns> stored);

  comm::SharedMemory memory_;
  std::uint32_t cells_ = 0;
  std::size_t blocks_ = 0;
  std::uint64_t bytes_ = 0;
  std::vector<GeneColumns> columns_;
  std::vector<std::uint32_t> place_;  // by dataset gene index
};

}  // namespace mgrn::pairs
