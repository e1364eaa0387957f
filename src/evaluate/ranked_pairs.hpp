// SPDX-License-Identifier: Apache-2.0
// Any tool's ranked edges and a reference network in the same numbers, under BEELINE's rules. Internal to the
// room.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "multigrnformer/evaluate/beeline.hpp"

namespace mgrn::evaluate {

/// Numbers symbols from 0 in order of appearance, ignoring case.
class Symbols {
 public:
  std::uint32_t add(const std::string& symbol);
  std::uint32_t size() const { return static_cast<std::uint32_t>(numbers_.size()); }

 private:
  std::unordered_map<std::string, std::uint32_t> numbers_;
};

constexpr std::uint64_t pair_key(std::uint32_t from, std::uint32_t to) {
  return (std::uint64_t{from} << 32) | to;
}

/// |weight|. Throws NumericError, naming the edge, for one that is not a number.
double magnitude(const formats::WeightedEdge& edge, const formats::EdgeTable& table);

/// The reference's genes are numbered first, so that a number below `genes` means "in the universe".
struct Reference {
  Symbols symbols;
  std::uint32_t genes = 0;
  std::unordered_set<std::uint64_t> truth;    ///< true edges, each once, without self-edges
  std::unordered_set<std::uint32_t> sources;  ///< occur as Gene1

  /// Throws DataError when no edge between distinct genes is left.
  explicit Reference(std::span<const formats::NamedEdge> edges);
  bool is_true(std::uint32_t from, std::uint32_t to) const { return truth.contains(pair_key(from, to)); }
};

struct Prediction {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  double weight = 0.0;  ///< largest |weight| of the pair
};

struct Predictions {
  std::vector<Prediction> pairs;  ///< distinct, no self-edges; in the order of the list
  std::uint64_t outside = 0;      ///< lines that name a gene outside the network
  std::uint64_t self_edges = 0;
  std::uint64_t duplicates = 0;
};

/// Throws DataError when the list shares no gene with the network, NumericError for a weight that is NaN.
Predictions predictions_of(const formats::EdgeTable& ranked, Reference& reference);

/// The universe of early precision.
struct EarlyUniverse {
  bool tf_only = true;
  std::unordered_set<std::uint32_t> regulators;  ///< with tf_only
  std::uint64_t pairs = 0;
  std::uint64_t true_edges = 0;

  EarlyUniverse(Reference& reference, const BeelineOptions& options);
  /// All predictions count where tf_only is off, as in BEELINE's code.
  bool holds(const Prediction& pair, const Reference& reference) const {
    return !tf_only || (regulators.contains(pair.from) && pair.to < reference.genes);
  }
};

/// The predictions of the early universe that count as its k best: those of weight at least that of rank k,
/// ties with the last one kept, none of weight 0. Best first.
std::vector<Prediction> best_predictions(const std::vector<Prediction>& pairs, const EarlyUniverse& universe,
                                         const Reference& reference, std::uint64_t k);

}  // namespace mgrn::evaluate
