// SPDX-License-Identifier: Apache-2.0
// One number per cell for a gene, in the units that a baseline was made for: the dataset file holds what
// `prepare` made of the source (z-scores, usually) and the source's own values.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/baselines/expression.hpp"
#include "multigrnformer/baselines/neural_options.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::baselines {

/// What `automatic` comes to for a method that wants `own` units, on this dataset; other choices stay. Throws
/// DataError where counts are asked to be normalised and the source was prepared as something else.
Values resolve_values(Values chosen, Values own, const store::Dataset& dataset);
/// "source", "normalised", "lognorm", as the key takes it.
std::string to_text(Values values);

/// The values of some genes in all cells. Immutable after construction; any number of threads may read.
class CellValues {
 public:
  /// Collective. `values` is resolved. Library sizes, where they are needed, are summed over all genes of the
  /// dataset, as fixed-point integers: the same on any number of ranks. Throws DataError for negative values,
  /// the same on every rank.
  CellValues(const store::Dataset& dataset, std::span<const std::uint32_t> genes, Values values,
             comm::Communicator& communicator);

  std::uint32_t cells() const { return expression_.cells(); }
  /// `out` has cells() elements.
  void read(std::uint32_t gene, std::span<double> out) const;

 private:
  Expression expression_;
  Values values_;
  std::vector<double> library_size_;  // empty with `source`
};

}  // namespace mgrn::baselines
