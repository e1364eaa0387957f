// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/beeline.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/evaluate/metrics.hpp"
#include "multigrnformer/formats/text_lines.hpp"
#include "ranked_pairs.hpp"

namespace mgrn::evaluate {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Early precision of the best k predictions of its universe, k the number of `truth`.
SignedPrecision early_precision_of(const std::vector<Prediction>& pairs, const EarlyUniverse& universe,
                                   const Reference& reference, const std::unordered_set<std::uint64_t>& truth,
                                   std::uint64_t true_edges) {
  SignedPrecision early{.true_edges = true_edges};
  if (true_edges == 0 || universe.pairs == 0) {
    early.early_precision = kNan;
    early.early_precision_ratio = kNan;
    return early;
  }
  const auto best = best_predictions(pairs, universe, reference, true_edges);
  early.kept = best.size();
  if (best.empty()) {
    return early;  // nothing predicted: both stay 0
  }
  const auto hits = std::count_if(best.begin(), best.end(), [&](const Prediction& pair) {
    return truth.contains(pair_key(pair.from, pair.to));
  });
  early.early_precision = static_cast<double>(hits) / static_cast<double>(early.kept);
  early.early_precision_ratio =
      early.early_precision / (static_cast<double>(true_edges) / static_cast<double>(universe.pairs));
  return early;
}

SignedPrecision early_precision_of_sign(const std::vector<Prediction>& pairs, const EarlyUniverse& universe,
                                        Reference& reference, std::span<const formats::NamedEdge> edges) {
  std::unordered_set<std::uint64_t> truth;
  for (const formats::NamedEdge& edge : edges) {
    const Prediction pair{reference.symbols.add(edge.tf), reference.symbols.add(edge.gene), 0.0};
    if (reference.is_true(pair.from, pair.to) && universe.holds(pair, reference)) {
      truth.insert(pair_key(pair.from, pair.to));
    }
  }
  return early_precision_of(pairs, universe, reference, truth, truth.size());
}

}  // namespace

formats::EdgeTable read_ranked_list(const std::filesystem::path& file) {
  std::size_t columns = 0;
  {
    formats::LineReader reader(file);
    std::string_view line;
    if (reader.next(line)) {
      formats::FieldSplitter splitter(formats::detect_delimiter(line));
      columns = splitter.split(line, reader).size();
    }
  }
  if (columns != 2) {
    return formats::read_ranked_edges(file);
  }
  // A network file drops repeats after the first, which is the better-ranked one, and self-edges.
  const formats::NetworkFile list = formats::read_network(file);
  formats::EdgeTable table;
  std::unordered_map<std::string, std::uint32_t> numbers;
  const auto number = [&](const std::string& symbol) {
    const auto [found, fresh] = numbers.emplace(symbol, static_cast<std::uint32_t>(table.genes.size()));
    if (fresh) {
      table.genes.push_back(symbol);
    }
    return found->second;
  };
  for (std::size_t place = 0; place < list.edges.size(); ++place) {
    const std::uint32_t tf = number(list.edges[place].tf);
    const std::uint32_t gene = number(list.edges[place].gene);
    table.edges.push_back({tf, gene, static_cast<double>(list.edges.size() - place)});
  }
  return table;
}

BeelineResult evaluate_beeline(const formats::EdgeTable& ranked, std::span<const formats::NamedEdge> network,
                               const BeelineOptions& options) {
  Reference reference(network);
  const Predictions predictions = predictions_of(ranked, reference);
  BeelineResult result;
  result.genes = reference.genes;
  result.universe = std::uint64_t{reference.genes} * (reference.genes - 1);
  result.true_edges = reference.truth.size();
  result.random_auprc = static_cast<double>(result.true_edges) / static_cast<double>(result.universe);
  result.outside = predictions.outside;
  result.self_edges = predictions.self_edges;
  result.duplicates = predictions.duplicates;

  std::vector<double> scores;
  std::vector<std::uint8_t> labels;
  for (const Prediction& pair : predictions.pairs) {
    if (pair.from < reference.genes && pair.to < reference.genes && pair.weight > 0.0) {
      scores.push_back(pair.weight);
      labels.push_back(reference.is_true(pair.from, pair.to) ? 1 : 0);
      result.predicted_true += labels.back();
    }
  }
  result.predicted = scores.size();
  Ranking ranking = rank_scores(scores, labels);
  const std::uint64_t missed = result.true_edges - result.predicted_true;
  ranking.push_back(
      {.score = 0.0, .positives = missed, .negatives = result.universe - result.predicted - missed});
  result.auroc = auroc(ranking);
  result.auprc = auprc_trapezoid(ranking);
  result.auprc_davis_goadrich = auprc_davis_goadrich(ranking);
  result.average_precision = average_precision(ranking);
  result.auprc_ratio = result.auprc / result.random_auprc;
  result.average_precision_ratio = result.average_precision / result.random_auprc;

  // Early precision has its own universe, and its own restriction of the predictions.
  const EarlyUniverse universe(reference, options);
  const SignedPrecision early =
      early_precision_of(predictions.pairs, universe, reference, reference.truth, universe.true_edges);
  result.early_tf_only = options.early_tf_only;
  result.early_universe = universe.pairs;
  result.early_true_edges = universe.true_edges;
  result.early_kept = early.kept;
  result.early_precision = early.early_precision;
  result.early_precision_ratio = early.early_precision_ratio;
  if (!options.signs.empty()) {
    result.has_signs = true;
    result.activating =
        early_precision_of_sign(predictions.pairs, universe, reference, options.signs.activating);
    result.repressing =
        early_precision_of_sign(predictions.pairs, universe, reference, options.signs.repressing);
  }
  return result;
}

base::Json to_json(const BeelineResult& result) {
  const auto number = [](double value) {
    return std::isfinite(value) ? base::Json(value) : base::Json(nullptr);
  };
  base::Json json = {{"protocol", "beeline"},
                     {"n_genes", result.genes},
                     {"n_universe", result.universe},
                     {"n_positive", result.true_edges},
                     {"n_negative", result.universe - result.true_edges},
                     {"n_predicted", result.predicted},
                     {"n_predicted_true", result.predicted_true},
                     {"n_outside", result.outside},
                     {"n_self_edges", result.self_edges},
                     {"n_duplicates", result.duplicates},
                     {"auroc", number(result.auroc)},
                     {"auprc", number(result.auprc)},
                     {"auprc_davis_goadrich", number(result.auprc_davis_goadrich)},
                     {"average_precision", number(result.average_precision)},
                     {"auprc_ratio", number(result.auprc_ratio)},
                     {"average_precision_ratio", number(result.average_precision_ratio)},
                     {"random_auroc", 0.5},
                     {"random_auprc", number(result.random_auprc)},
                     {"early_universe", result.early_tf_only ? "regulators x genes" : "all ordered pairs"},
                     {"n_early_universe", result.early_universe},
                     {"n_early_positive", result.early_true_edges},
                     {"n_early_kept", result.early_kept},
                     {"early_precision", number(result.early_precision)},
                     {"early_precision_ratio", number(result.early_precision_ratio)}};
  if (result.has_signs) {
    const auto of_sign = [&](const SignedPrecision& sign) {
      return base::Json{{"n_early_positive", sign.true_edges},
                        {"n_early_kept", sign.kept},
                        {"early_precision", number(sign.early_precision)},
                        {"early_precision_ratio", number(sign.early_precision_ratio)}};
    };
    json["activating"] = of_sign(result.activating);
    json["repressing"] = of_sign(result.repressing);
  }
  return json;
}

std::uint64_t score_pairs(const formats::EdgeTable& ranked, std::span<ScoredPair> pairs) {
  Symbols symbols;
  std::vector<std::uint32_t> numbers;
  numbers.reserve(ranked.genes.size());
  for (const std::string& gene : ranked.genes) {
    numbers.push_back(symbols.add(gene));
  }
  std::unordered_map<std::uint64_t, double> weights;
  for (const formats::WeightedEdge& edge : ranked.edges) {
    const double weight = magnitude(edge, ranked);
    double& best = weights.try_emplace(pair_key(numbers[edge.tf], numbers[edge.gene]), weight).first->second;
    best = std::max(best, weight);
  }
  std::uint64_t found_pairs = 0;
  for (ScoredPair& pair : pairs) {
    const auto found = weights.find(pair_key(symbols.add(pair.tf), symbols.add(pair.gene)));
    pair.score = found == weights.end() ? 0.0 : found->second;
    found_pairs += found == weights.end() ? 0 : 1;
  }
  return found_pairs;
}

}  // namespace mgrn::evaluate
