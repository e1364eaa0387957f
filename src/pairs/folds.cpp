// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/folds.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/philox.hpp"
#include "split_order.hpp"

namespace mgrn::pairs {
namespace {

base::PhiloxStream stream(std::uint64_t seed, const char* what) {
  return {seed, base::NameHash().add("folds").add(what).value()};
}

/// Fold of every pair, from 0: each label is dealt out evenly.
std::vector<int> folds_of_edges(const std::vector<LabelledPair>& pairs, const SplitOptions& options) {
  std::vector<int> fold(pairs.size(), 0);
  for (const std::uint8_t label : {std::uint8_t{1}, std::uint8_t{0}}) {
    std::vector<std::size_t> members;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (pairs[i].label == label) {
        members.push_back(i);
      }
    }
    auto random = stream(options.seed, label == 1 ? "positives" : "negatives");
    base::shuffle(members, random);
    for (std::size_t i = 0; i < members.size(); ++i) {
      fold[members[i]] = static_cast<int>(i % static_cast<std::size_t>(options.folds));
    }
  }
  return fold;
}

/// Fold of every pair, from 0: in random order, each TF (gene) goes to the fold with the fewest pairs so far.
std::vector<int> folds_of_nodes(const std::vector<LabelledPair>& pairs, const SplitOptions& options) {
  const auto node_of = [&](const LabelledPair& pair) {
    return options.by == SplitBy::tf_heldout ? pair.tf : pair.gene;
  };
  std::vector<std::uint32_t> order;  // by first occurrence, which follows from the symbols
  std::vector<std::size_t> count;
  for (const auto& pair : pairs) {
    count.resize(std::max<std::size_t>(count.size(), node_of(pair) + std::size_t{1}), 0);
    if (count[node_of(pair)]++ == 0) {
      order.push_back(node_of(pair));
    }
  }
  auto random = stream(options.seed, "nodes");
  base::shuffle(order, random);
  std::vector<std::size_t> load(static_cast<std::size_t>(options.folds), 0);
  std::vector<int> fold_of_node(count.size(), 0);
  for (const std::uint32_t node : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += count[node];
    fold_of_node[node] = static_cast<int>(least - load.begin());
  }
  std::vector<int> fold;
  fold.reserve(pairs.size());
  for (const auto& pair : pairs) {
    fold.push_back(fold_of_node[node_of(pair)]);
  }
  return fold;
}

}  // namespace

void keep_fold(Split& split, const store::DatasetHeader& dataset, const SplitOptions& options) {
  if (options.folds == 0) {
    return;
  }
  if (options.folds < 2 || options.fold < 1 || options.fold > options.folds) {
    throw base::UsageError({.what = "illegal fold of the training pairs",
                            .file = "pairs.fold",
                            .expected = "K/N with N from 2 on and K from 1 to N",
                            .got = std::to_string(options.fold) + "/" + std::to_string(options.folds),
                            .hint = "set pairs.fold = 1/5, say, or none"});
  }
  std::erase_if(split.pairs, [](const LabelledPair& pair) { return pair.set == Set::test; });
  for (auto& pair : split.pairs) {
    pair.set = Set::train;
  }
  sort_pairs(split.pairs, dataset);
  const auto fold = options.by == SplitBy::edge ? folds_of_edges(split.pairs, options)
                                                : folds_of_nodes(split.pairs, options);
  std::size_t trained = 0;
  std::size_t tested = 0;
  for (std::size_t i = 0; i < split.pairs.size(); ++i) {
    if (fold[i] == options.fold - 1) {
      split.pairs[i].set = Set::test;
    }
    (fold[i] == options.fold - 1 ? tested : trained) += split.pairs[i].label;
  }
  if (trained == 0 || tested == 0) {
    throw base::DataError(
        {.what = "too few training pairs for cross-validation",
         .expected = "a positive pair in each of " + std::to_string(options.folds) + " folds",
         .got =
             "none " + std::string(tested == 0 ? "in fold " : "outside fold ") + std::to_string(options.fold),
         .hint = "use fewer folds, more genes (data.genes), or pairs.split = edge"});
  }
  hold_out_validation(split.pairs, options.validation, options.seed);
  sort_pairs(split.pairs, dataset);
}

}  // namespace mgrn::pairs
