// SPDX-License-Identifier: Apache-2.0
// Ranking metrics, exact, ties handled by grouping equal scores. Computed once, over all pairs, never
// averaged over ranks. Pure functions, any thread. O(n log n) in time, O(n) in memory.
//
// Everything is computed from a Ranking: the distinct scores from best to worst with their numbers of
// positives and negatives. A caller that knows a group's size without its members (the pairs a tool did not
// predict) builds the Ranking itself.
//
// Errors: InternalError for sizes that differ or labels other than 0 and 1; NumericError for a score that is
// NaN.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mgrn::evaluate {

/// All pairs of one score.
struct ScoreGroup {
  double score = 0.0;
  std::uint64_t positives = 0;
  std::uint64_t negatives = 0;
};

/// Groups of equal scores, best first, each score once.
using Ranking = std::vector<ScoreGroup>;

Ranking rank_scores(std::span<const double> scores, std::span<const std::uint8_t> labels);

/// Area under the ROC curve (Mann-Whitney with half credit for ties). NaN without both classes.
double auroc(const Ranking& ranking);
double auroc(std::span<const double> scores, std::span<const std::uint8_t> labels);

/// Average precision, the step-wise sum of scikit-learn's average_precision_score. NaN without positives.
double average_precision(const Ranking& ranking);
double average_precision(std::span<const double> scores, std::span<const std::uint8_t> labels);

/// Trapezoid over the precision-recall curve, scikit-learn's auc(recall, precision). NaN without positives.
double auprc_trapezoid(const Ranking& ranking);
double auprc_trapezoid(std::span<const double> scores, std::span<const std::uint8_t> labels);

/// The area of Davis and Goadrich (doi 10.1145/1143844.1143874): between two points of the curve the number
/// of false positives grows evenly with each true positive, and precision is joined from one true positive to
/// the next. The first point's precision holds from recall 0. BEELINE 1.0's AUPRC (R's PRROC). NaN without
/// positives. O(positives) beside the ranking.
double auprc_davis_goadrich(const Ranking& ranking);
double auprc_davis_goadrich(std::span<const double> scores, std::span<const std::uint8_t> labels);

/// Precision among the `wanted` best, ties with the last of them included; `wanted` 0: as many as there are
/// positives. NaN without pairs or without positives.
double early_precision(const Ranking& ranking, std::uint64_t wanted = 0);

/// AUROC of each group's pairs among themselves, averaged over groups with both labels, weighted by pairs.
/// `group` is any number per pair (the TF's index). NaN when no group has both labels.
double within_group_auroc(std::span<const double> scores, std::span<const std::uint8_t> labels,
                          std::span<const std::uint32_t> group);

}  // namespace mgrn::evaluate
