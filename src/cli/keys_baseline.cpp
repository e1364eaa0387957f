// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/keys.hpp"

namespace mgrn::cli {
namespace {

void add_neural_keys(KeyTable& table, Config& config) {
  auto& options = config.baseline.neural;
  table.choice<baselines::Values>("baseline.values", options.values,
                                  {{"auto", baselines::Values::automatic},
                                   {"source", baselines::Values::source},
                                   {"normalised", baselines::Values::normalised},
                                   {"lognorm", baselines::Values::lognorm}},
                                  "cnnc, stgrns: a gene's values; auto: the method's own units");
  table.choice<baselines::ImageScale>(
      "baseline.image", options.image,
      {{"log", baselines::ImageScale::log}, {"counts", baselines::ImageScale::counts}},
      "cnnc: a bin's logarithm of its share of cells, or its number of cells");
  table.integer("baseline.window", options.window, 1, 1 << 20, "stgrns: cells of a window");
}

}  // namespace

void add_baseline_keys(KeyTable& table, Config& config) {
  auto& options = config.baseline;
  table.integer("baseline.boosting_rounds", options.boosting_rounds, 1, 100000,
                "marginals, embeddings: boosted trees");
  table.integer("baseline.components", options.components, 1, 10000,
                "embeddings: principal components of a gene, per modality");
  add_neural_keys(table, config);
}

}  // namespace mgrn::cli
