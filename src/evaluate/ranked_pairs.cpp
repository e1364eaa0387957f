// SPDX-License-Identifier: Apache-2.0
#include "ranked_pairs.hpp"

#include <algorithm>
#include <cmath>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/symbol.hpp"

namespace mgrn::evaluate {

std::uint32_t Symbols::add(const std::string& symbol) {
  return numbers_.emplace(base::symbol_key(symbol), static_cast<std::uint32_t>(numbers_.size()))
      .first->second;
}

double magnitude(const formats::WeightedEdge& edge, const formats::EdgeTable& table) {
  if (std::isnan(edge.weight)) {
    throw base::NumericError(
        {.what = "weight of " + table.genes[edge.tf] + " -> " + table.genes[edge.gene] + " is not a number",
         .expected = "a number",
         .got = "nan",
         .hint = "remove that edge from the ranked list"});
  }
  return std::abs(edge.weight);
}

Reference::Reference(std::span<const formats::NamedEdge> edges) {
  for (const formats::NamedEdge& edge : edges) {
    const std::uint32_t from = symbols.add(edge.tf);
    const std::uint32_t to = symbols.add(edge.gene);
    sources.insert(from);
    if (from != to) {
      truth.insert(pair_key(from, to));
    }
  }
  genes = symbols.size();
  if (truth.empty()) {
    throw base::DataError({.what = "reference network has no edge between distinct genes",
                           .expected = "at least one",
                           .got = std::to_string(edges.size()) + " edges, all of them self-edges",
                           .hint = "give a network with one edge a line"});
  }
}

Predictions predictions_of(const formats::EdgeTable& ranked, Reference& reference) {
  std::vector<std::uint32_t> numbers;
  numbers.reserve(ranked.genes.size());
  bool any_shared = false;
  for (const std::string& gene : ranked.genes) {
    numbers.push_back(reference.symbols.add(gene));
    any_shared = any_shared || numbers.back() < reference.genes;
  }
  if (!any_shared && !ranked.genes.empty()) {
    throw base::DataError({.what = "the ranked list has no gene of the reference network",
                           .expected = "gene symbols of the network",
                           .got = "such as '" + ranked.genes.front() + "'",
                           .hint = "give the list and the network with the same kind of gene names"});
  }
  Predictions found;
  std::unordered_map<std::uint64_t, std::size_t> place;
  for (const formats::WeightedEdge& edge : ranked.edges) {
    const std::uint32_t from = numbers[edge.tf];
    const std::uint32_t to = numbers[edge.gene];
    const double weight = magnitude(edge, ranked);
    found.outside += from >= reference.genes || to >= reference.genes ? 1 : 0;
    if (from == to) {
      ++found.self_edges;
      continue;
    }
    const auto [known, fresh] = place.emplace(pair_key(from, to), found.pairs.size());
    if (fresh) {
      found.pairs.push_back({from, to, weight});
    } else {
      ++found.duplicates;
      found.pairs[known->second].weight = std::max(found.pairs[known->second].weight, weight);
    }
  }
  return found;
}

EarlyUniverse::EarlyUniverse(Reference& reference, const BeelineOptions& options)
    : tf_only(options.early_tf_only),
      pairs(std::uint64_t{reference.genes} * (reference.genes - 1)),
      true_edges(reference.truth.size()) {
  if (!tf_only) {
    return;
  }
  if (options.regulators.empty()) {
    regulators = reference.sources;
  }
  for (const std::string& symbol : options.regulators) {
    const std::uint32_t number = reference.symbols.add(symbol);
    if (number < reference.genes) {
      regulators.insert(number);
    }
  }
  pairs = std::uint64_t{regulators.size()} * (reference.genes - 1);
  true_edges = static_cast<std::uint64_t>(std::count_if(
      reference.truth.begin(), reference.truth.end(),
      [&](std::uint64_t key) { return regulators.contains(static_cast<std::uint32_t>(key >> 32)); }));
}

std::vector<Prediction> best_predictions(const std::vector<Prediction>& pairs, const EarlyUniverse& universe,
                                         const Reference& reference, std::uint64_t k) {
  std::vector<Prediction> best;
  std::copy_if(pairs.begin(), pairs.end(), std::back_inserter(best),
               [&](const Prediction& pair) { return pair.weight > 0.0 && universe.holds(pair, reference); });
  std::stable_sort(best.begin(), best.end(),
                   [](const Prediction& a, const Prediction& b) { return a.weight > b.weight; });
  if (k == 0) {
    best.clear();
  } else if (k < best.size()) {
    const double cut = best[k - 1].weight;
    best.erase(
        std::find_if(best.begin(), best.end(), [&](const Prediction& pair) { return pair.weight < cut; }),
        best.end());
  }
  return best;
}

}  // namespace mgrn::evaluate
