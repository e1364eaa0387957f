// SPDX-License-Identifier: Apache-2.0
// What `baseline` is told beyond train's keys. Defaults stand here; src/cli/keys_baseline.cpp binds a key to
// each field.
#pragma once

#include <string>

#include "multigrnformer/baselines/neural_options.hpp"

namespace mgrn::baselines {

struct Options {
  std::string method;  ///< --method: a name of methods()
  NeuralOptions neural;
  // marginals, embeddings
  int boosting_rounds = 100;  ///< trees
  // embeddings
  int components = 20;  ///< principal components of a gene, per modality
};

}  // namespace mgrn::baselines
