// SPDX-License-Identifier: Apache-2.0
// In how many cells both genes are expressed.
#include "method_list.hpp"
#include "rows.hpp"

namespace mgrn::baselines {
namespace {

std::unique_ptr<PairScorer> prepare(const Problem& problem, comm::Communicator& communicator) {
  const auto& targets = problem.targets;
  const auto fill = [&](std::size_t row, std::span<double> values) {
    const std::uint32_t tf = problem.regulators[row];
    const Column regulator = problem.expression.rna(tf);
    std::vector<std::uint8_t> expressed(problem.expression.cells(), 0);
    for (std::size_t i = 0; i < regulator.cell.size(); ++i) {
      expressed[regulator.cell[i]] = regulator.count[i] != 0 ? 1 : 0;
    }
    for (std::size_t t = 0; t < targets.size(); ++t) {
      if (targets[t] == tf) {
        continue;
      }
      const Column target = problem.expression.rna(targets[t]);
      std::uint32_t shared = 0;
      for (std::size_t i = 0; i < target.cell.size(); ++i) {
        shared += target.count[i] != 0 ? expressed[target.cell[i]] : 0;
      }
      values[t] = shared;
    }
  };
  return std::make_unique<ScoreTable>(
      problem.regulators, targets,
      compute_rows("co-expression", "TFs", problem.regulators.size(), targets.size(),
                   problem.settings.threads, fill, communicator));
}

}  // namespace

Method coexpression_method() {
  return {.name = "coexpression",
          .summary = "number of cells that express both genes",
          .work = PrepareScorer(prepare),
          .rna_alone = true};
}

}  // namespace mgrn::baselines
