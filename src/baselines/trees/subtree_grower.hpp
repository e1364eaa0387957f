// SPDX-License-Identifier: Apache-2.0
// The subtree below a node of at most 1,024 cells, where a forest spends most of its time. The node's cells
// are numbered anew, and of every column there is a set of bits: which of them have an entry. A node below is
// a set of bits, too; its entries in a column are the intersection, its children an intersection and the
// rest. The rules are TreeGrower's; nothing is approximated.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/baselines/trees/regression_tree.hpp"
#include "multigrnformer/baselines/trees/regressors.hpp"

namespace mgrn::baselines {

/// A node with a variance of y of no more is a leaf.
constexpr double kPure = std::numeric_limits<double>::epsilon();

/// What the nodes of a tree share; all of it belongs to the caller.
struct TreeInputs {
  std::span<const double> y;
  std::span<const Share> share;
  TreeOptions options;
  base::BufferedPhiloxStream* random = nullptr;
  std::span<double> drop;
};

class SubtreeGrower {
 public:
  static constexpr std::uint32_t kMostCells = 1024;

  explicit SubtreeGrower(const Regressors& regressors);
  ~SubtreeGrower();
  SubtreeGrower(const SubtreeGrower&) = delete;
  SubtreeGrower& operator=(const SubtreeGrower&) = delete;

  void use_columns(std::span<const std::uint32_t> columns);
  /// Grows what is below a node of `cells`, 2 to kMostCells, that is no leaf; `constant` has a bit for each
  /// column known to be constant in it. Returns the number of splits.
  std::uint32_t grow(const TreeInputs& tree, std::span<const std::uint32_t> cells, int depth,
                     const std::uint64_t* constant);

 private:
  struct Memory;
  std::unique_ptr<Memory> memory_;
};

}  // namespace mgrn::baselines
