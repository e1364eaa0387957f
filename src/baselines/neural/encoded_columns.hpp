// SPDX-License-Identifier: Apache-2.0
// A dense column of encoded values per gene (bins, logarithms) and the set of cells that express it, in one
// block of memory that the ranks of a node share. Internal to the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/comm/shared_memory.hpp"

namespace mgrn::baselines {

class EncodedColumns {
 public:
  using Read = std::function<void(std::uint32_t gene, std::span<double> values)>;
  /// Fills a gene's column, zeroed before, from its values in all cells.
  using Encode = std::function<void(std::span<const double> values, std::span<std::byte> column)>;

  /// Collective. Each rank of a node reads and encodes its part of the genes (any order, repeats allowed)
  /// into columns of so many bytes. The ranks of a node let go of it together.
  EncodedColumns(std::uint32_t cells, std::vector<std::uint32_t> genes, const Read& read, std::size_t bytes,
                 const Encode& encode, comm::Communicator& communicator);

  /// On a cache line. Throws InternalError for a gene that was not given.
  const std::byte* at(std::uint32_t gene) const;
  bool has(std::uint32_t gene) const;
  /// Whether both genes have a value above zero in a cell.
  bool share_cells(std::uint32_t a, std::uint32_t b) const;

 private:
  std::span<const std::uint64_t> expressed(std::uint32_t gene) const;

  std::vector<std::uint32_t> genes_;  // ascending
  std::size_t words_;                 // of the set of cells, which stands behind the column
  std::size_t column_;                // bytes of a column, in whole cache lines
  std::size_t stride_;
  comm::SharedMemory memory_;
};

}  // namespace mgrn::baselines
