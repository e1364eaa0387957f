// SPDX-License-Identifier: Apache-2.0
// predictions.csv (`tf,gene,label,score`): the scored test pairs of a run, and the labelled pairs of a
// split.csv as symbols. One rank writes.
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "multigrnformer/evaluate/report.hpp"
#include "multigrnformer/formats/network_file.hpp"

namespace mgrn::evaluate {

/// In the order given; scores in the shortest form that reads back to the same double. Atomic. Throws
/// OutputError, and NumericError for a score that is not finite.
void write_predictions(const std::filesystem::path& file, std::span<const ScoredPair> pairs);

/// `has_cells` is false where the score is exactly 0: such a pair scores 0 by rule, a probability is never
/// exactly 0. Throws DataError: a missing column, a label other than 0 and 1, a score that is not finite.
std::vector<ScoredPair> read_predictions(const std::filesystem::path& file);

/// The two parts of a split file that an evaluation needs.
struct SplitPairs {
  std::vector<ScoredPair> test;                        ///< scores 0
  std::vector<formats::NamedEdge> training_positives;  ///< of the sets train and validation
};

/// Reads `tf,gene,label,set`. Throws DataError: a missing column, an unknown set or label, no test pair.
SplitPairs read_split_pairs(const std::filesystem::path& file);

}  // namespace mgrn::evaluate
