// SPDX-License-Identifier: Apache-2.0
#include "correlation.hpp"

#include <algorithm>
#include <cmath>

#include "multigrnformer/comm/agree.hpp"
#include "rows.hpp"

namespace mgrn::baselines {
namespace {

// What is left of a constant gene's sum of squares is rounding, this small a part of the whole.
constexpr double kRounding = 1e-12;

struct Moments {
  double sum = 0;
  double squares = 0;  // about the mean
};

Moments moments_of(const Deviations& gene, double cells) {
  Moments moments;
  double raw = 0;
  for (const float value : gene.value) {
    moments.sum += static_cast<double>(value);
    raw += static_cast<double>(value) * static_cast<double>(value);
  }
  moments.squares = raw - moments.sum * moments.sum / cells;
  if (moments.squares <= kRounding * raw) {
    moments.squares = 0;
  }
  return moments;
}

}  // namespace

Deviations value_deviations(const Column& column) {
  Deviations found{.cell = {column.cell.begin(), column.cell.end()},
                   .value = {column.value.begin(), column.value.end()}};
  for (float& value : found.value) {
    value -= column.background;
  }
  return found;
}

std::vector<double> correlate(const Problem& problem, const std::string& task,
                              const std::function<Deviations(std::uint32_t gene)>& deviations,
                              comm::Communicator& communicator) {
  const auto& targets = problem.targets;
  const std::uint32_t cells = problem.expression.cells();
  const auto count = static_cast<double>(cells);
  std::vector<Deviations> columns(targets.size());
  std::vector<Moments> moments(targets.size());
  comm::agree(communicator, [&] {
    for (std::size_t i = 0; i < targets.size(); ++i) {
      columns[i] = deviations(targets[i]);
      moments[i] = moments_of(columns[i], count);
    }
  });
  const auto fill = [&](std::size_t row, std::span<double> values) {
    const Deviations regulator = deviations(problem.regulators[row]);
    const Moments own = moments_of(regulator, count);
    std::vector<float> by_cell(cells, 0.0f);
    for (std::size_t i = 0; i < regulator.cell.size(); ++i) {
      by_cell[regulator.cell[i]] = regulator.value[i];
    }
    for (std::size_t t = 0; t < targets.size(); ++t) {
      if (targets[t] == problem.regulators[row] || own.squares == 0 || moments[t].squares == 0) {
        continue;
      }
      double products = 0;
      for (std::size_t i = 0; i < columns[t].cell.size(); ++i) {
        products +=
            static_cast<double>(by_cell[columns[t].cell[i]]) * static_cast<double>(columns[t].value[i]);
      }
      const double covariance = products - own.sum * moments[t].sum / count;
      values[t] = std::clamp(covariance / std::sqrt(own.squares * moments[t].squares), -1.0, 1.0);
    }
  };
  return compute_rows(task, "TFs", problem.regulators.size(), targets.size(), problem.settings.threads, fill,
                      communicator);
}

}  // namespace mgrn::baselines
