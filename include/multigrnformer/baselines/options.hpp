// SPDX-License-Identifier: Apache-2.0
// What `baseline` is told beyond train's keys. Defaults stand here; src/cli/keys_baseline.cpp binds a key to
// each field.
#pragma once

#include <filesystem>
#include <string>

#include "multigrnformer/baselines/neural_options.hpp"
#include "multigrnformer/baselines/trees/settings.hpp"

namespace mgrn::baselines {

struct Options {
  std::string method;  ///< --method: a name of methods()
  NeuralOptions neural = {};
  // marginals, embeddings
  int boosting_rounds = 100;  ///< trees
  // embeddings
  int components = 20;  ///< principal components of a gene, per modality

  // genie3, grnboost2
  ForestSettings forest = {};
  BoostingSettings boosting = {};
  bool regress_on_potential = false;  ///< the regulators' RP too; an edge's importance is the sum of both
  /// Where finished targets are kept for other runs; empty: in the run's folder, until it is done.
  std::filesystem::path cache = {};
};

}  // namespace mgrn::baselines
