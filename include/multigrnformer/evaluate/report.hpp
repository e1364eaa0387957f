// SPDX-License-Identifier: Apache-2.0
// From scored test pairs to result.json, and from several runs to mean and standard deviation. One rank calls
// it, with all test pairs: metrics are never averaged over ranks. Pure functions.
//
// No number stands without its control: random (0.5 and the share of positives) and degree-only are beside
// AUROC and AUPRC, and the within-TF and within-gene AUROC cannot be won by knowing popular TFs or genes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/base/json_fwd.hpp"
#include "multigrnformer/formats/network_file.hpp"

namespace mgrn::evaluate {

/// A labelled test pair with its score.
struct ScoredPair {
  std::string tf;
  std::string gene;
  std::uint8_t label = 0;
  double score = 0.0;
  bool has_cells = true;  ///< false: no cell expresses both genes, the score is 0 by rule
};

/// Metrics of one set of pairs. NaN where the pairs do not define one; null in the JSON.
struct PairMetrics {
  std::uint64_t n_positive = 0;
  std::uint64_t n_negative = 0;
  double auroc = 0.0;
  double average_precision = 0.0;
  double average_precision_ratio = 0.0;  ///< to random_auprc
  double auprc = 0.0;                    ///< trapezoid
  double auprc_ratio = 0.0;              ///< to random_auprc
  double auprc_davis_goadrich = 0.0;
  double random_auroc = 0.5;
  double random_auprc = 0.0;  ///< share of positives
  double within_tf_auroc = 0.0;
  double within_gene_auroc = 0.0;
  double early_precision = 0.0;        ///< among the best n_positive pairs, ties kept
  double early_precision_ratio = 0.0;  ///< to random_auprc
  double degree_auroc = 0.0;
  double degree_average_precision = 0.0;
  double degree_within_tf_auroc = 0.0;
};

struct EvaluationResult {
  std::uint64_t seed = 0;
  PairMetrics all;
  PairMetrics with_cells;  ///< pairs with at least one shared cell only
};

/// `training_positives` feed the degree control, see DegreeControl. Throws DataError when `pairs` is empty.
EvaluationResult evaluate_pairs(std::span<const ScoredPair> pairs,
                                std::span<const formats::NamedEdge> training_positives, std::uint64_t seed);

/// result.json: the fields of `all` and `seed` at the top, those of `with_cells` under that name, and
/// `n_without_cells`.
base::Json to_json(const EvaluationResult& result);
base::Json to_json(const PairMetrics& metrics);

/// Mean and sample standard deviation (n - 1) over runs of every numeric field, nested objects included:
/// `{"auroc": {"mean": ..., "sd": ..., "runs": 5}, ...}`. A run in which a field is null does not count for
/// it; sd is null below two runs. The field `seed` becomes the list `seeds`.
base::Json summary(std::span<const base::Json> results);

}  // namespace mgrn::evaluate
