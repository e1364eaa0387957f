// SPDX-License-Identifier: Apache-2.0
// |Spearman's correlation|: Pearson's of the ranks over all cells, tied cells sharing their mean rank.
#include <algorithm>
#include <numeric>

#include "correlation.hpp"
#include "method_list.hpp"
#include "rows.hpp"

namespace mgrn::baselines {
namespace {

// Ranks less the rank of the cells without an entry, which are all tied. Halves are exact in a float below
// 2^23 cells.
Deviations rank_deviations(const Column& column, std::uint32_t cells) {
  const std::size_t entries = column.cell.size();
  std::vector<std::size_t> order(entries);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return column.value[a] != column.value[b] ? column.value[a] < column.value[b] : a < b;
  });
  const double without = static_cast<double>(cells - entries);
  const auto below = static_cast<double>(std::count_if(column.value.begin(), column.value.end(),
                                                       [&](float v) { return v < column.background; }));
  const auto tied =
      static_cast<double>(std::count(column.value.begin(), column.value.end(), column.background));
  const double background = below + (tied + without + 1) / 2;
  Deviations ranks{.cell = {column.cell.begin(), column.cell.end()}, .value = std::vector<float>(entries)};
  for (std::size_t first = 0; first < entries;) {
    const float value = column.value[order[first]];
    std::size_t last = first;
    while (last < entries && column.value[order[last]] == value) {
      ++last;
    }
    const double before = static_cast<double>(first) + (value > column.background ? without : 0.0);
    const double rank =
        value == column.background ? background : before + (static_cast<double>(last - first) + 1) / 2;
    for (; first < last; ++first) {
      ranks.value[order[first]] = static_cast<float>(rank - background);
    }
  }
  return ranks;
}

std::unique_ptr<PairScorer> prepare(const Problem& problem, comm::Communicator& communicator) {
  const auto deviations = [&](std::uint32_t gene) {
    return rank_deviations(problem.expression.rna(gene), problem.expression.cells());
  };
  return std::make_unique<ScoreTable>(problem.regulators, problem.targets,
                                      correlate(problem, "Spearman's correlation", deviations, communicator));
}

}  // namespace

Method spearman_method() {
  return {.name = "spearman",
          .summary = "|Spearman's correlation| of the expression over all cells",
          .work = PrepareScorer(prepare),
          .rna_alone = true};
}

}  // namespace mgrn::baselines
