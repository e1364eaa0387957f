// SPDX-License-Identifier: Apache-2.0
// The filter against leaks between datasets: a pair by which the target will be tested must not be seen in
// pretraining on another dataset. Pair identity is (TF symbol, gene symbol), ignoring case.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>

#include "multigrnformer/pairs/split.hpp"

namespace mgrn::pairs {

/// Names of pairs, comparable across datasets.
class PairKeys {
 public:
  void insert(const std::string& tf, const std::string& gene);
  bool contains(const std::string& tf, const std::string& gene) const;
  std::size_t size() const { return keys_.size(); }

 private:
  std::unordered_set<std::string> keys_;
};

/// The pairs of one set of a split, both labels.
PairKeys pair_keys(const store::DatasetHeader& dataset, const Split& split, Set set);

/// Takes pairs with these names out of training and validation; test pairs stay (they are never trained on).
/// Returns how many went, and leaves a note in the split when any did.
std::uint64_t remove_pairs(Split& split, const store::DatasetHeader& dataset, const PairKeys& keys);

}  // namespace mgrn::pairs
