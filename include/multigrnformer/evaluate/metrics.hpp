// SPDX-License-Identifier: Apache-2.0
// Ranking metrics, exact, ties handled by grouping equal scores. Computed once, over all pairs, never
// averaged over ranks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mgrn::evaluate {

/// Area under the ROC curve (Mann-Whitney with half credit for ties). NaN without both classes.
double auroc(std::span<const double> scores, std::span<const std::uint8_t> labels);
/// Average precision, the step-wise sum of scikit-learn's average_precision_score. NaN without positives.
double average_precision(std::span<const double> scores, std::span<const std::uint8_t> labels);
/// Trapezoid over the precision-recall curve, scikit-learn's auc(recall, precision).
double auprc_trapezoid(std::span<const double> scores, std::span<const std::uint8_t> labels);
/// AUROC of each group's pairs among themselves, averaged over groups with both labels, weighted by pairs.
/// `group` is any number per pair (the TF's index). NaN when no group has both labels.
double within_group_auroc(std::span<const double> scores, std::span<const std::uint8_t> labels,
                          std::span<const std::uint32_t> group);

}  // namespace mgrn::evaluate
