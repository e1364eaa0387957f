// SPDX-License-Identifier: Apache-2.0
// Pairs with prescribed degrees: how many pairs each TF and each gene must get, and a random set of pairs
// that gives exactly that, avoiding forbidden ones. Negatives made so cannot be told from positives by
// degree.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "multigrnformer/base/philox.hpp"

namespace mgrn::pairs {

/// Which pairs of `tfs` x `genes` (positions, not dataset indices) may be used.
class AllowedPairs {
 public:
  AllowedPairs(std::size_t tfs, std::size_t genes) : genes_(genes), allowed_(tfs * genes, 1) {}
  void forbid(std::size_t tf, std::size_t gene) { allowed_[tf * genes_ + gene] = 0; }
  bool operator()(std::size_t tf, std::size_t gene) const { return allowed_[tf * genes_ + gene] != 0; }

 private:
  std::size_t genes_;
  std::vector<std::uint8_t> allowed_;
};

using PairPositions = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

/// A random set of allowed, distinct pairs in which TF i occurs tf_degree[i] times and gene j gene_degree[j]
/// times (the sums must be equal), sorted. Where no such set exists, one of the largest sets that exceeds no
/// degree. A maximum b-matching by augmenting paths, then randomised by switching ends of pairs.
PairPositions pairs_with_degrees(const AllowedPairs& allowed, const std::vector<std::uint32_t>& tf_degree,
                                 const std::vector<std::uint32_t>& gene_degree, base::PhiloxStream& random);

}  // namespace mgrn::pairs
