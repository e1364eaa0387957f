// SPDX-License-Identifier: Apache-2.0
// Boosted trees on what each of the two genes is by itself: mean and variance of its counts and the share of
// cells that express it. Nothing of how the two go together is seen, so what this reaches is no regulation.
#include "boosted_pairs.hpp"
#include "method_list.hpp"
#include "multigrnformer/comm/agree.hpp"

namespace mgrn::baselines {
namespace {

constexpr std::size_t kMarginals = 3;

// Of the source's values: after a z-score all genes would look alike.
GeneFeatures marginals_of(const Expression& expression) {
  GeneFeatures features{.columns = kMarginals, .values = {}};
  const auto cells = static_cast<double>(expression.cells());
  for (const auto gene : expression.genes()) {
    const Column column = expression.rna(gene);
    double sum = 0;
    double squares = 0;
    std::uint32_t expressed = 0;
    for (const float count : column.count) {
      sum += static_cast<double>(count);
      squares += static_cast<double>(count) * static_cast<double>(count);
      expressed += count != 0 ? 1 : 0;
    }
    const double mean = sum / cells;
    features.values.insert(features.values.end(),
                           {mean, squares / cells - mean * mean, static_cast<double>(expressed) / cells});
  }
  return features;
}

std::unique_ptr<PairScorer> prepare(const Problem& problem, comm::Communicator& communicator) {
  std::unique_ptr<PairScorer> scorer;
  comm::agree(communicator, [&] { scorer = learn_pairs(problem, marginals_of(problem.expression)); });
  return scorer;
}

}  // namespace

Method marginals_method() {
  return {.name = "marginals",
          .summary = "boosted trees on mean, variance and detection rate of both genes",
          .work = PrepareScorer(prepare),
          .rna_alone = true};
}

}  // namespace mgrn::baselines
