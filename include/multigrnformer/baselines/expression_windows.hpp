// SPDX-License-Identifier: Apache-2.0
// STGRNS's input, the "gene expression motif" of a pair: the cells in the order of the dataset, cut into
// windows of g; a window is the TF's g values and then the target's (Xu and others, "STGRNS: an interpretable
// transformer-based method for inferring gene regulatory networks from single-cell transcriptomic data", doi
// 10.1093/bioinformatics/btad165).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/pairs/sample_source.hpp"

namespace mgrn::baselines {

/// [W, 2 g] with W = cells / g, an incomplete last window left out; values are log10(x + 0.01). A sample does
/// not depend on purpose, epoch or variant of its name.
class ExpressionWindows final : public pairs::SampleSource {
 public:
  /// A gene's values (not logarithms) in all cells; called from the rank that encodes the gene.
  using Read = std::function<void(std::uint32_t gene, std::span<double> values)>;

  /// Collective. `genes` in any order, repeats allowed. Holds four bytes per gene and cell, once per node.
  /// There must be at least one window (require_window).
  ExpressionWindows(std::uint32_t cells, std::vector<std::uint32_t> genes, const Read& read, int window,
                    comm::Communicator& communicator);
  ExpressionWindows(const ExpressionWindows&) = delete;
  ExpressionWindows& operator=(const ExpressionWindows&) = delete;
  ~ExpressionWindows() override;

  std::size_t windows() const;
  std::size_t sample_size() const override;
  bool has_sample(std::uint32_t tf, std::uint32_t gene) const override;
  bool shares_cells(std::uint32_t tf, std::uint32_t gene) const override;
  bool gather(const pairs::SampleName& name, std::span<float> out) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Throws DataError, naming `file`, when there are fewer cells than one window takes.
void require_window(std::uint64_t cells, int window, const std::string& file);

}  // namespace mgrn::baselines
