// SPDX-License-Identifier: Apache-2.0
// |Pearson's correlation| of the two genes' normalised expression over all cells.
#include "correlation.hpp"
#include "method_list.hpp"
#include "rows.hpp"

namespace mgrn::baselines {
namespace {

std::unique_ptr<PairScorer> prepare(const Problem& problem, comm::Communicator& communicator) {
  const auto deviations = [&](std::uint32_t gene) { return value_deviations(problem.expression.rna(gene)); };
  return std::make_unique<ScoreTable>(problem.regulators, problem.targets,
                                      correlate(problem, "Pearson's correlation", deviations, communicator));
}

}  // namespace

Method pearson_method() {
  return {.name = "pearson",
          .summary = "|Pearson's correlation| of the normalised expression over all cells",
          .work = PrepareScorer(prepare),
          .rna_alone = true};
}

}  // namespace mgrn::baselines
