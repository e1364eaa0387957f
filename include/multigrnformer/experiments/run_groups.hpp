// SPDX-License-Identifier: Apache-2.0
// The finished runs of a grid, and those of the same setting, method, strategy and omics together: what
// tables, comparisons and figures are made of. Not collective.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/evaluate/statistics.hpp"
#include "multigrnformer/experiments/plan.hpp"

namespace mgrn::experiments {

struct FinishedRun {
  ResultLabels labels;
  std::filesystem::path folder;
  Keys config;        ///< config.ini, every key resolved
  base::Json result;  ///< result.json

  /// Nothing where the run has no such metric, or null for it.
  std::optional<double> metric(std::string_view name) const;
};

/// The tasks of `plan` that have a result and are done, in the order of the grid file; what an unfinished
/// attempt left is not looked at. Throws DataError for a result.json or config.ini that cannot be read.
std::vector<FinishedRun> finished_runs(const Plan& plan, const std::filesystem::path& out);

/// Which pairs are asked about and what pretraining may have seen. Scores of different protocols are not
/// compared.
struct Protocol {
  std::string negatives;  ///< pairs.negatives
  std::string split;      ///< pairs.split
  std::string leak;       ///< cross.leak where weights were pretrained, else empty
  bool operator==(const Protocol&) const = default;
};
Protocol protocol_of(const FinishedRun& run);

struct RunGroup {
  std::string setting;
  std::string method;
  std::string strategy;
  std::string omics;
  Protocol protocol;
  std::vector<FinishedRun> runs;  ///< at least one

  /// Of the runs that have it, in their order.
  std::vector<double> values(std::string_view metric) const;
  /// Over the same; NaN without any.
  double mean(std::string_view metric) const;
};

/// In the order of their first runs.
std::vector<RunGroup> group_runs(std::vector<FinishedRun> runs);

/// Test positives over training positives of each setting, from its first run's split.csv, read once: what
/// the corrected resampled t needs.
class TestShares {
 public:
  /// Throws DataError.
  double of(const RunGroup& group);

 private:
  std::map<std::string, double> by_setting_;
};

}  // namespace mgrn::experiments
