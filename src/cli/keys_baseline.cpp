// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/keys.hpp"

namespace mgrn::cli {
namespace {

// Columns tried at a node of a forest: ForestSettings::max_features.
constexpr int kSquareRoot = 0;
constexpr int kAll = -1;

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
  table.choice<bool>("baseline.regressors", options.regress_on_potential,
                     {{"rna", false}, {"rna,atac", true}},
                     "genie3, grnboost2: what targets are regressed on: the TFs' expression, or their "
                     "regulatory potential too");
  table.integer("baseline.trees", options.forest.trees, 1, 1000000, "genie3: trees per target");
  table.choice<bool>("baseline.forest", options.forest.bootstrap, {{"random", true}, {"extra", false}},
                     "genie3: random forest, or extremely randomised trees");
  int& features = options.forest.max_features;
  table.custom({.name = "baseline.max_features",
                .placeholder = "sqrt|all|N",
                .help = "genie3: regressors tried at each node",
                .set =
                    [&features](const std::string& text) {
                      if (text == "sqrt" || text == "all") {
                        features = text == "sqrt" ? kSquareRoot : kAll;
                        return;
                      }
                      KeyTable number;
                      number.integer("baseline.max_features", features, 1, 1000000, "").set(text);
                    },
                .get =
                    [&features] {
                      return features == kSquareRoot ? std::string("sqrt")
                             : features == kAll      ? std::string("all")
                                                     : std::to_string(features);
                    }});
  table.choice<bool>(
      "baseline.importance", options.forest.normalise, {{"normalised", true}, {"variance", false}},
      "genie3: scores of a target sum to 1, or to the share of its variance that is explained");
  table.integer("baseline.rounds", options.boosting.rounds, 1, 1000000, "grnboost2: most rounds per target");
  table.choice<bool>("baseline.oob", options.boosting.telescoping,
                     {{"same-cells", false}, {"oob_telescoping", true}},
                     "grnboost2: a round's improvement on cells held out, before and after its tree, or from "
                     "one round's cells to the next's");
  table
      .file("baseline.cache", options.cache,
            "genie3, grnboost2: folder where finished targets are kept for runs that differ in their split "
            "alone (default: the run's, until it is done)")
      .result = false;
}

}  // namespace mgrn::cli
