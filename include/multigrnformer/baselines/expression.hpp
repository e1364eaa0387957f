// SPDX-License-Identifier: Apache-2.0
// Whole columns of a dataset's matrices, for methods that look at all cells of a gene rather than at samples
// of them. One copy per node.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::baselines {

/// A gene's stored entries of one layer, ascending by cell; every other cell has `background` (and count 0).
struct Column {
  std::span<const std::uint32_t> cell;
  std::span<const float> value;  ///< normalised, as `prepare` left it
  std::span<const float> count;  ///< RNA: the source's value, above 0 where the gene is expressed; RP: empty
  float background = 0;
};

/// Immutable after construction; any number of threads may read. Asking for a gene that was not loaded throws
/// InternalError.
class Expression {
 public:
  /// Collective. Loads the rows of `genes` (dataset indices, any order, repeats allowed), each rank of a node
  /// reading its part. `rp`: the regulatory potential too, which the dataset must have. An error of any rank
  /// is thrown on every rank. The ranks of a node let go of it together.
  Expression(const store::Dataset& dataset, std::span<const std::uint32_t> genes, bool rp,
             comm::Communicator& communicator);

  std::uint32_t cells() const { return cells_; }
  bool has_rp() const { return !rp_.first.empty(); }
  /// Loaded genes, ascending.
  const std::vector<std::uint32_t>& genes() const { return genes_; }
  Column rna(std::uint32_t gene) const;
  Column rp(std::uint32_t gene) const;
  std::uint64_t bytes() const { return memory_.bytes().size(); }  ///< of the one copy on a node

 private:
  struct Layer {
    std::vector<std::uint64_t> first;  ///< entries before each loaded gene, and after the last
    std::vector<float> background;
    std::span<std::uint32_t> cell;
    std::span<float> value;
    std::span<float> count;
  };
  std::size_t place(std::uint32_t gene) const;
  void read(const store::Dataset& dataset, store::Layer which, Layer& layer, std::size_t first,
            std::size_t last);
  static Column column(const Layer& layer, std::size_t place);

  std::uint32_t cells_ = 0;
  std::vector<std::uint32_t> genes_;
  Layer rna_;
  Layer rp_;
  comm::SharedMemory memory_;
};

/// One value per cell.
std::vector<float> dense(const Column& column, std::uint32_t cells);
/// Cells in which both genes are expressed (count above 0).
std::uint32_t shared_cells(const Column& a, const Column& b);

}  // namespace mgrn::baselines
