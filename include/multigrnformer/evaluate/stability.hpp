// SPDX-License-Identifier: Apache-2.0
// How much the ranked lists of several runs agree, as BEELINE asks it (doi 10.1038/s41592-019-0690-6): the
// Jaccard index of their best edges, and Spearman's correlation of their weights over the whole universe.
// Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "multigrnformer/base/json_fwd.hpp"
#include "multigrnformer/evaluate/beeline.hpp"
#include "multigrnformer/formats/edge_table.hpp"
#include "multigrnformer/formats/network_file.hpp"

namespace mgrn::evaluate {

/// Of two lists, by their places.
struct Agreement {
  std::size_t first = 0;
  std::size_t second = 0;
  double jaccard = 0;   ///< of the best k, ties kept; NaN when both predict nothing
  double spearman = 0;  ///< of |weight|, 0 for pairs not predicted; NaN when one is constant
};

struct Stability {
  std::uint64_t lists = 0;
  std::uint64_t universe = 0;  ///< pairs
  std::uint64_t best = 0;      ///< k, true edges in the universe
  bool tf_only = true;
  std::vector<Agreement> pairs;  ///< every two lists
};

/// The universe is that of early precision: regulators x genes, or all ordered pairs of the network's genes.
/// Throws UsageError for fewer than two lists; DataError, NumericError as evaluate_beeline does.
Stability evaluate_stability(std::span<const formats::EdgeTable> lists,
                             std::span<const formats::NamedEdge> network, const BeelineOptions& options = {});
/// Median, mean, standard deviation (n - 1), least and largest over every two lists, and those themselves.
base::Json to_json(const Stability& stability);

}  // namespace mgrn::evaluate
