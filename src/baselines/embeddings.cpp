// SPDX-License-Identifier: Apache-2.0
// Boosted trees on the two genes' embeddings: the leading principal components of their expression profiles
// and, with ATAC, of their regulatory potential. Each gene is described by itself, as it lies among all
// genes.
#include <cmath>
#include <numeric>

#include "boosted_pairs.hpp"
#include "correlation.hpp"
#include "method_list.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/pairs/principal_components.hpp"

namespace mgrn::baselines {
namespace {

// Where the last components hardly differ from noise this finds the space that they span nearly, which is all
// that a feature needs.
constexpr int kPasses = 15;

/// Genes x components: U S of the centred genes x cells matrix; the largest loading of a component is
/// positive.
std::vector<double> loadings_of(std::span<const pairs::Profile> profiles, std::uint32_t cells,
                                std::size_t components, std::uint64_t seed) {
  const auto vectors = pairs::principal_components(
      profiles, cells, components, kPasses, base::NameHash().add(seed).add("principal components").value());
  std::vector<double> loadings(profiles.size() * components);
  for (std::size_t k = 0; k < components; ++k) {
    const auto vector = std::span(vectors).subspan(k * cells, cells);
    const double total = std::accumulate(vector.begin(), vector.end(), 0.0);
    double largest = 0;
    for (std::size_t g = 0; g < profiles.size(); ++g) {
      const double loading = profiles[g].dot(vector, total);
      loadings[g * components + k] = loading;
      largest = std::fabs(loading) > std::fabs(largest) ? loading : largest;
    }
    for (std::size_t g = 0; largest < 0 && g < profiles.size(); ++g) {
      loadings[g * components + k] *= -1;
    }
  }
  return loadings;
}

GeneFeatures embeddings_of(const Problem& problem) {
  const Expression& expression = problem.expression;
  const auto components = static_cast<std::size_t>(problem.options.components);
  const std::size_t genes = expression.genes().size();
  std::vector<std::vector<double>> layers;
  for (const bool rp : {false, true}) {
    if (rp && !expression.has_rp()) {
      continue;
    }
    std::vector<pairs::Profile> profiles;
    for (const auto gene : expression.genes()) {
      const Deviations differences = value_deviations(rp ? expression.rp(gene) : expression.rna(gene));
      profiles.push_back(pairs::centred(differences.cell, differences.value, 0, expression.cells()));
    }
    layers.push_back(loadings_of(profiles, expression.cells(), components, problem.settings.seed));
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
