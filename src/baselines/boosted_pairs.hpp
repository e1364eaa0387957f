// SPDX-License-Identifier: Apache-2.0
// Boosted trees on a pair's features, which are those of its TF and those of its gene. Internal to the room.
#pragma once

#include <memory>
#include <vector>

#include "multigrnformer/baselines/method.hpp"

namespace mgrn::baselines {

/// What is known of each gene.
struct GeneFeatures {
  std::size_t columns = 0;
  std::vector<double> values;  ///< loaded genes (Problem::expression, in its order) x columns
};

/// Learns from the labels of the training and validation pairs; a score is the probability of an edge.
/// O(labelled pairs x columns x rounds). Throws DataError when these are of one class.
std::unique_ptr<PairScorer> learn_pairs(const Problem& problem, GeneFeatures features);

}  // namespace mgrn::baselines
