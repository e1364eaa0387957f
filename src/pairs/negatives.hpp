// SPDX-License-Identifier: Apache-2.0
// Negatives by uniform choice among all candidates. Internal to the room.
#pragma once

#include <cstdint>
#include <vector>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/pairs/gene_set.hpp"

namespace mgrn::pairs {

/// All pairs of `tfs` x `genes` that are neither edges nor self-loops, numbered 0 .. size()-1 in the order of
/// the two lists.
class CandidatePairs {
 public:
  CandidatePairs(std::vector<std::uint32_t> tfs, std::vector<std::uint32_t> genes,
                 const std::vector<Edge>& edges);

  std::uint64_t size() const { return tfs_.size() * genes_.size() - forbidden_.size(); }
  Edge at(std::uint64_t number) const;
  /// `count` distinct pairs (all when there are fewer), in random order.
  std::vector<Edge> draw(std::uint64_t count, base::PhiloxStream& random) const;

 private:
  std::vector<std::uint32_t> tfs_;
  std::vector<std::uint32_t> genes_;
  std::vector<std::uint64_t> forbidden_;  // positions tf * genes + gene, ascending
};

}  // namespace mgrn::pairs
