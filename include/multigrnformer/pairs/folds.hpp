// SPDX-License-Identifier: Apache-2.0
// Cross-validation inside the training pairs of a split. The split's own test pairs leave it, so that
// whatever is chosen by cross-validation has not seen them.
#pragma once

#include <cstdint>

#include "multigrnformer/pairs/split.hpp"

namespace mgrn::pairs {

/// Makes fold `options.fold` of `options.folds` the test set; the other folds are trained on, less
/// `options.validation` of their pairs, and the split's own test pairs are dropped. Folds are disjoint and
/// cover the training and validation pairs: by `edge` each has the same share of positives and of negatives
/// to within one pair; by `tf_heldout` (`gene_heldout`) whole TFs (genes), shared out for even numbers of
/// pairs. A function of pairs, options and symbols alone. Does nothing when options.folds is 0. Throws
/// UsageError for a fold that is not 1 to folds, or fewer than 2 folds; DataError when a fold would hold no
/// positive.
void keep_fold(Split& split, const store::DatasetHeader& dataset, const SplitOptions& options);

}  // namespace mgrn::pairs
