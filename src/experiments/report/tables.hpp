// SPDX-License-Identifier: Apache-2.0
// The report's tables for machines. Byte-stable, numbers in their shortest exact form. Pure functions but for
// reading split files.
#pragma once

#include <string>
#include <vector>

#include "multigrnformer/experiments/comparison.hpp"
#include "multigrnformer/experiments/run_groups.hpp"

namespace mgrn::experiments {

/// Mean, SD and 95 % interval of one metric over the runs of one group.
struct Summary {
  const RunGroup* group = nullptr;
  const Metric* metric = nullptr;
  std::size_t runs = 0;
  double mean = 0.0;
  double deviation = 0.0;                         ///< NaN with one run
  std::optional<evaluate::ResampledT> resampled;  ///< corrected for shared training pairs
  std::optional<double> random, degree;           ///< means over the same runs
};
/// For each group the metrics that any of its runs has. Throws DataError.
std::vector<Summary> summarise(const std::vector<RunGroup>& groups, TestShares& shares);

/// summary.csv: one row for each group and metric.
std::string summary_table(const std::vector<Summary>& summaries);
/// comparisons.csv: one row for each comparison, and one for each of its settings.
std::string comparisons_table(const std::vector<Comparison>& comparisons);

}  // namespace mgrn::experiments
