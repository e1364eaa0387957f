// SPDX-License-Identifier: Apache-2.0
#include "negatives.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "multigrnformer/base/error.hpp"

namespace mgrn::pairs {

CandidatePairs::CandidatePairs(std::vector<std::uint32_t> tfs, std::vector<std::uint32_t> genes,
                               const std::vector<Edge>& edges)
    : tfs_(std::move(tfs)), genes_(std::move(genes)) {
  std::unordered_map<std::uint32_t, std::uint64_t> tf_position;
  std::unordered_map<std::uint32_t, std::uint64_t> gene_position;
  for (std::size_t i = 0; i < tfs_.size(); ++i) {
    tf_position.emplace(tfs_[i], i);
  }
  for (std::size_t i = 0; i < genes_.size(); ++i) {
    gene_position.emplace(genes_[i], i);
  }
  const auto forbid = [&](std::uint32_t tf, std::uint32_t gene) {
    const auto row = tf_position.find(tf);
    const auto column = gene_position.find(gene);
    if (row != tf_position.end() && column != gene_position.end()) {
      forbidden_.push_back(row->second * genes_.size() + column->second);
    }
  };
  for (const Edge& edge : edges) {
    forbid(edge.tf, edge.gene);
  }
  for (const std::uint32_t tf : tfs_) {
    forbid(tf, tf);
  }
  std::sort(forbidden_.begin(), forbidden_.end());
  forbidden_.erase(std::unique(forbidden_.begin(), forbidden_.end()), forbidden_.end());
}

Edge CandidatePairs::at(std::uint64_t number) const {
  // The wanted position is `number` plus the forbidden ones before it. forbidden_[i] - i candidates lie
  // before the i-th forbidden one, so their count is found by bisection.
  std::uint64_t low = 0;
  std::uint64_t high = forbidden_.size();
  while (low < high) {
    const std::uint64_t middle = (low + high) / 2;
    if (forbidden_[middle] - middle <= number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const std::uint64_t position = number + low;
  return {tfs_[position / genes_.size()], genes_[position % genes_.size()]};
}

std::vector<Edge> CandidatePairs::draw(std::uint64_t count, base::PhiloxStream& random) const {
  if (size() > std::numeric_limits<std::uint32_t>::max()) {
    throw base::UsageError({.what = "too many candidate pairs for negatives",
                            .file = "data.genes",
                            .expected = "at most 2^32 - 1 pairs of TF and gene",
                            .got = std::to_string(size()),
                            .hint = "Choose fewer genes with data.genes."});
  }
  const auto total = static_cast<std::uint32_t>(size());
  count = std::min<std::uint64_t>(count, total);
  // The first steps of a Fisher-Yates shuffle of all candidates, holding only the places that moved.
  std::unordered_map<std::uint32_t, std::uint32_t> moved;
  const auto at_place = [&](std::uint32_t place) {
    const auto found = moved.find(place);
    return found == moved.end() ? place : found->second;
  };
  std::vector<Edge> drawn;
  drawn.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t other = i + random.below(total - i);
    const std::uint32_t chosen = at_place(other);
    moved[other] = at_place(i);
    drawn.push_back(at(chosen));
  }
  return drawn;
}

}  // namespace mgrn::pairs
