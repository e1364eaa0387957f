// SPDX-License-Identifier: Apache-2.0
// Scores any tool's ranked edges under BEELINE's rules (Pratapa et al., doi 10.1038/s41592-019-0690-6), or on
// the labelled pairs of a split. Pure functions but for the reader.
//
// BEELINE's universe is all ordered pairs of distinct genes of the reference network, n (n - 1) of them; it
// is never made: pairs that a tool did not predict have weight 0 and enter as one group, by their number.
// Symbols are compared ignoring case.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/base/json_fwd.hpp"
#include "multigrnformer/evaluate/report.hpp"
#include "multigrnformer/evaluate/signed_network.hpp"
#include "multigrnformer/formats/edge_table.hpp"
#include "multigrnformer/formats/network_file.hpp"

namespace mgrn::evaluate {

/// As formats::read_ranked_edges, and lists of two columns without weights too: best first, the line's place
/// from the end becomes the weight. Throws DataError.
formats::EdgeTable read_ranked_list(const std::filesystem::path& file);

struct BeelineOptions {
  /// Universe of early precision: regulators x genes (as in the paper's experimental figures); false: all
  /// ordered pairs, and then, as in BEELINE's code, predictions are not restricted to the network's genes.
  bool early_tf_only = true;
  /// The regulators; empty: the genes that occur as Gene1 in the reference network.
  std::vector<std::string> regulators = {};
  /// Signs of the reference's edges, where they are known: early precision of each sign by itself.
  SignedNetwork signs = {};
};

/// Early precision with the edges of one sign as the true ones; the predictions' own signs do not count, as
/// in BEELINE.
struct SignedPrecision {
  std::uint64_t true_edges = 0;  ///< of this sign in the universe of early precision
  std::uint64_t kept = 0;
  double early_precision = 0.0;
  double early_precision_ratio = 0.0;
};

struct BeelineResult {
  std::uint64_t genes = 0;           ///< n, genes of the reference network
  std::uint64_t universe = 0;        ///< n (n - 1)
  std::uint64_t true_edges = 0;      ///< k, distinct and without self-edges
  std::uint64_t predicted = 0;       ///< distinct pairs of the universe with weight other than 0
  std::uint64_t predicted_true = 0;  ///< of these, true edges
  std::uint64_t outside = 0;         ///< lines of the list that name a gene outside the network; ignored
  std::uint64_t self_edges = 0;      ///< of the list; ignored
  std::uint64_t duplicates = 0;      ///< of the list; the largest |weight| counts
  double auroc = 0.0;
  double auprc = 0.0;  ///< trapezoid, BEELINE's; flatters sparse lists
  double auprc_davis_goadrich = 0.0;
  double average_precision = 0.0;  ///< the primary number
  double auprc_ratio = 0.0;        ///< auprc / (k / universe)
  double average_precision_ratio = 0.0;
  double random_auprc = 0.0;  ///< k / universe
  bool early_tf_only = true;
  std::uint64_t early_universe = 0;
  std::uint64_t early_true_edges = 0;  ///< k among the universe of early precision
  std::uint64_t early_kept = 0;        ///< predictions at or above the cut
  double early_precision = 0.0;        ///< hits / kept; 0 without predictions, NaN without true edges
  double early_precision_ratio = 0.0;
  bool has_signs = false;  ///< `activating` and `repressing` say something
  SignedPrecision activating;
  SignedPrecision repressing;
};

/// `network` may hold repeats and self-edges: the first are dropped, a gene that occurs in the second alone
/// still belongs to the universe. Throws DataError when no pair is left, or the list shares no gene with it;
/// NumericError on a weight that is NaN.
BeelineResult evaluate_beeline(const formats::EdgeTable& ranked, std::span<const formats::NamedEdge> network,
                               const BeelineOptions& options = {});
base::Json to_json(const BeelineResult& result);

/// Protocol `pairs`: gives every pair the largest |weight| that the list has for it, 0 where it has none.
/// `has_cells` is left as it is. Returns how many pairs were in the list.
std::uint64_t score_pairs(const formats::EdgeTable& ranked, std::span<ScoredPair> pairs);

}  // namespace mgrn::evaluate
