// SPDX-License-Identifier: Apache-2.0
// Is one strategy, method, omics or protocol better than another? Asked over settings, on means of runs: runs
// of one setting share their training pairs and prove little. Runs are paired by number, since run r of a
// setting has the same split under every method and strategy. Pure functions but for reading split files.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "multigrnformer/evaluate/statistics.hpp"
#include "multigrnformer/experiments/run_groups.hpp"

namespace mgrn::experiments {

/// A metric as the report speaks of it.
struct Metric {
  const char* key;     ///< in result.json
  const char* name;    ///< for people
  const char* random;  ///< key of what chance reaches; empty: 0.5
  const char* degree;  ///< key of the degree-only control; empty: there is none
};
/// AUROC, average precision, and AUROC within TFs and within genes.
const std::vector<Metric>& compared_metrics();

/// What the two sides differ in, and nothing else.
enum class Axis { strategy, method, omics, leak, protocol };
const char* axis_name(Axis axis);

/// One setting in a comparison.
struct PairedSetting {
  std::string setting;
  std::size_t runs = 0;  ///< that both sides have
  double first = 0.0;    ///< means over these runs
  double second = 0.0;
  double difference = 0.0;  ///< second - first
  /// Of the differences of runs, with the correction for shared training pairs; nothing below two runs.
  std::optional<evaluate::ResampledT> resampled;
};

struct Comparison {
  Axis axis = Axis::strategy;
  const Metric* metric = nullptr;
  std::string first;   ///< the level that comes first in the grid
  std::string second;  ///< differences are second - first
  std::string where;   ///< what both sides share: "multigrnformer", "standard", ...
  Protocol protocol;   ///< of the second side
  std::vector<PairedSetting> settings;
  evaluate::SignedRank signed_rank;  ///< over the settings' differences
  double mean_difference = 0.0;      ///< over settings
  std::optional<evaluate::Interval>
      interval;  ///< of that, 95 %, settings as independent; two or more settings
  /// The signed-rank p, adjusted after Holm (1979) among the comparisons of the same axis, metric, `where`,
  /// negatives and split.
  double adjusted_p = 1.0;
};

/// All comparisons that the groups allow, axis by axis, in the order of the grid. Settings of different
/// protocols are never pooled. Throws DataError for a split.csv that cannot be read.
std::vector<Comparison> compare_groups(const std::vector<RunGroup>& groups);

/// The keys of a group's runs that say what was done to which data: without seeds, folders and weights files,
/// and without those of `left_out`.
std::string signature(const RunGroup& group, const std::vector<std::string>& left_out);

}  // namespace mgrn::experiments
