// SPDX-License-Identifier: Apache-2.0
// Boosted trees on the two genes' embeddings: the leading principal components of their expression profiles
// and, with ATAC, of their regulatory potential. Each gene is described by itself, as it lies among all
// genes.
#include "boosted_pairs.hpp"
#include "method_list.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "principal_components.hpp"

namespace mgrn::baselines {
namespace {

GeneFeatures embeddings_of(const Problem& problem) {
  const Expression& expression = problem.expression;
  const auto components = static_cast<std::size_t>(problem.options.components);
  const std::size_t genes = expression.genes().size();
  std::vector<std::vector<double>> layers;
  for (const bool rp : {false, true}) {
    if (rp && !expression.has_rp()) {
      continue;
    }
    std::vector<Deviations> columns;
    for (const auto gene : expression.genes()) {
      columns.push_back(value_deviations(rp ? expression.rp(gene) : expression.rna(gene)));
    }
    layers.push_back(principal_components(columns, expression.cells(), components, problem.settings.seed));
  }
  GeneFeatures features{.columns = layers.size() * components, .values = {}};
  for (std::size_t g = 0; g < genes; ++g) {
    for (const auto& layer : layers) {
      const auto first = layer.begin() + static_cast<std::ptrdiff_t>(g * components);
      features.values.insert(features.values.end(), first, first + static_cast<std::ptrdiff_t>(components));
    }
  }
  return features;
}

std::unique_ptr<PairScorer> prepare(const Problem& problem, comm::Communicator& communicator) {
  std::unique_ptr<PairScorer> scorer;
  comm::agree(communicator, [&] { scorer = learn_pairs(problem, embeddings_of(problem)); });
  return scorer;
}

}  // namespace

Method embeddings_method() {
  return {.name = "embeddings",
          .summary = "boosted trees on principal-component embeddings of both genes",
          .work = PrepareScorer(prepare)};
}

}  // namespace mgrn::baselines
