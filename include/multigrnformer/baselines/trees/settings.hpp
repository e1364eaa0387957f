// SPDX-License-Identifier: Apache-2.0
// What GENIE3 and GRNBoost2 are told. The defaults are arboreto's (Moerman et al., doi
// 10.1093/bioinformatics/bty916), which is what most users and BEELINE run under these names.
#pragma once

#include <cstdint>

namespace mgrn::baselines {

/// GENIE3 (Huynh-Thu et al., doi 10.1371/journal.pone.0012776).
struct ForestSettings {
  int trees = 1000;
  /// Random forest: each tree on cells drawn with replacement, the best split. Otherwise extremely randomised
  /// trees: all cells, random thresholds.
  bool bootstrap = true;
  /// Regressors tried at a node: 0 the whole part of the square root of their number, -1 all, else so many.
  int max_features = 0;
  /// Each tree's importances sum to 1, and a target's too (arboreto). Otherwise the mean share of the
  /// target's variance that a regressor explains (the authors' Python): targets predicted well have larger
  /// scores.
  bool normalise = true;
};

/// GRNBoost2.
struct BoostingSettings {
  int rounds = 5000;  ///< at most
  double learning_rate = 0.01;
  double subsample = 0.9;     ///< share of the cells that a round's tree sees
  double max_features = 0.1;  ///< share of the regressors tried at a node; at least one
  int depth = 3;
  int window = 25;  ///< rounds whose mean improvement on held-out cells must not be below 0
  /// The improvement of a round. false: squared error before its tree less that after, on the cells that the
  /// round holds out (scikit-learn when GRNBoost2 was published). true: last round's held-out error less this
  /// round's, of other cells (scikit-learn from 1.1 on).
  bool telescoping = false;
};

}  // namespace mgrn::baselines
