// SPDX-License-Identifier: Apache-2.0
// What a cell, and a gene, is within its dataset: values that stand beside a sample's own. They come from the
// expression alone, never from labels. Internal to the room.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/pairs/sampler.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::pairs {

/// Components of one dataset mean nothing in another.
struct Context {
  /// [cells][kCellContext]: log10 of the cell's counts, standardised over the cells; its principal
  /// components, each with variance 1. Empty when not asked for.
  std::vector<float> cells;
  /// [genes][kGeneContext], genes in the order asked for, repeats included: the correlation of the gene's
  /// profile with each component. Empty when not asked for.
  std::vector<float> genes;
};

/// Collective. Rank 0 computes for all: the same bits on every rank and on any number of them. Components are
/// those of the kComponentGenes most variable genes of the dataset, so they do not depend on `genes`.
Context make_context(const store::Dataset& dataset, std::span<const std::uint32_t> genes,
                     const ContextOptions& options, comm::Communicator& communicator);

}  // namespace mgrn::pairs
