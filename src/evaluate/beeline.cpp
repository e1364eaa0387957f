// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/beeline.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/evaluate/metrics.hpp"
#include "multigrnformer/formats/text_lines.hpp"

namespace mgrn::evaluate {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Numbers symbols from 0 in order of appearance, ignoring case.
class Symbols {
 public:
  std::uint32_t add(const std::string& symbol) {
    return numbers_.emplace(base::symbol_key(symbol), static_cast<std::uint32_t>(numbers_.size()))
        .first->second;
  }
  std::uint32_t size() const { return static_cast<std::uint32_t>(numbers_.size()); }

 private:
  std::unordered_map<std::string, std::uint32_t> numbers_;
};

std::uint64_t pair_key(std::uint32_t from, std::uint32_t to) {
  return (std::uint64_t{from} << 32) | to;
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

struct Prediction {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  double weight = 0.0;  // largest |weight| of the pair
};

// The list's pairs, each once, in `numbers` of its genes.
std::vector<Prediction> distinct_pairs(const formats::EdgeTable& table,
                                       std::span<const std::uint32_t> numbers, std::uint64_t& self_edges,
                                       std::uint64_t& duplicates) {
  std::unordered_map<std::uint64_t, std::size_t> place;
  std::vector<Prediction> pairs;
  for (const formats::WeightedEdge& edge : table.edges) {
    const std::uint32_t from = numbers[edge.tf];
    const std::uint32_t to = numbers[edge.gene];
    const double weight = magnitude(edge, table);
    if (from == to) {
      ++self_edges;
      continue;
    }
    const auto [found, fresh] = place.emplace(pair_key(from, to), pairs.size());
    if (fresh) {
      pairs.push_back({from, to, weight});
    } else {
      ++duplicates;
      pairs[found->second].weight = std::max(pairs[found->second].weight, weight);
    }
  }
  return pairs;
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

BeelineResult evaluate_beeline(const formats::EdgeTable& ranked,
                               std::span<const formats::NamedEdge> reference, const BeelineOptions& options) {
  // The reference's genes are numbered first, so that a number below `genes` means "in the universe".
  Symbols symbols;
  std::unordered_set<std::uint64_t> truth;
  std::unordered_set<std::uint32_t> sources;
  for (const formats::NamedEdge& edge : reference) {
    const std::uint32_t from = symbols.add(edge.tf);
    const std::uint32_t to = symbols.add(edge.gene);
    sources.insert(from);
    if (from != to) {
      truth.insert(pair_key(from, to));
    }
  }
  const std::uint32_t genes = symbols.size();
  if (truth.empty()) {
    throw base::DataError({.what = "reference network has no edge between distinct genes",
                           .expected = "at least one",
                           .got = std::to_string(reference.size()) + " edges, all of them self-edges",
                           .hint = "give a network with one edge a line"});
  }

  std::vector<std::uint32_t> numbers;
  numbers.reserve(ranked.genes.size());
  bool any_shared = false;
  for (const std::string& gene : ranked.genes) {
    numbers.push_back(symbols.add(gene));
    any_shared = any_shared || numbers.back() < genes;
  }
  if (!any_shared && !ranked.genes.empty()) {
    throw base::DataError({.what = "the ranked list has no gene of the reference network",
                           .expected = "gene symbols of the network",
                           .got = "such as '" + ranked.genes.front() + "'",
                           .hint = "give the list and the network with the same kind of gene names"});
  }

  BeelineResult result;
  result.genes = genes;
  result.universe = std::uint64_t{genes} * (genes - 1);
  result.true_edges = truth.size();
  result.random_auprc = static_cast<double>(result.true_edges) / static_cast<double>(result.universe);
  for (const formats::WeightedEdge& edge : ranked.edges) {
    if (numbers[edge.tf] >= genes || numbers[edge.gene] >= genes) {
      ++result.outside;
    }
  }
  std::vector<Prediction> predictions = distinct_pairs(ranked, numbers, result.self_edges, result.duplicates);
  const auto is_true = [&](const Prediction& pair) { return truth.contains(pair_key(pair.from, pair.to)); };

  std::vector<double> scores;
  std::vector<std::uint8_t> labels;
  for (const Prediction& pair : predictions) {
    if (pair.from < genes && pair.to < genes && pair.weight > 0.0) {
      scores.push_back(pair.weight);
      labels.push_back(is_true(pair) ? 1 : 0);
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
  result.average_precision = average_precision(ranking);
  result.auprc_ratio = result.auprc / result.random_auprc;
  result.average_precision_ratio = result.average_precision / result.random_auprc;

  // Early precision has its own universe, and its own restriction of the predictions.
  result.early_tf_only = options.early_tf_only;
  result.early_universe = result.universe;
  result.early_true_edges = result.true_edges;
  if (options.early_tf_only) {
    std::unordered_set<std::uint32_t> regulators;
    if (options.regulators.empty()) {
      regulators = sources;
    }
    for (const std::string& symbol : options.regulators) {
      const std::uint32_t number = symbols.add(symbol);
      if (number < genes) {
        regulators.insert(number);
      }
    }
    result.early_universe = std::uint64_t{regulators.size()} * (genes - 1);
    result.early_true_edges =
        static_cast<std::uint64_t>(std::count_if(truth.begin(), truth.end(), [&](std::uint64_t key) {
          return regulators.contains(static_cast<std::uint32_t>(key >> 32));
        }));
    std::erase_if(predictions, [&](const Prediction& pair) {
      return !regulators.contains(pair.from) || pair.to >= genes;
    });
  }
  if (result.early_true_edges == 0 || result.early_universe == 0) {
    result.early_precision = kNan;
    result.early_precision_ratio = kNan;
    return result;
  }
  std::sort(predictions.begin(), predictions.end(),
            [](const Prediction& a, const Prediction& b) { return a.weight > b.weight; });
  const auto last_nonzero = std::find_if(predictions.begin(), predictions.end(),
                                         [](const Prediction& pair) { return !(pair.weight > 0.0); });
  if (last_nonzero == predictions.begin()) {
    return result;  // nothing predicted: both stay 0
  }
  const std::size_t rank = std::min<std::size_t>(predictions.size(), result.early_true_edges);
  const double cut = std::max(std::prev(last_nonzero)->weight, predictions[rank - 1].weight);
  std::uint64_t hits = 0;
  for (const Prediction& pair : predictions) {
    if (pair.weight < cut) {
      break;
    }
    ++result.early_kept;
    hits += is_true(pair) ? 1 : 0;
  }
  result.early_precision = static_cast<double>(hits) / static_cast<double>(result.early_kept);
  result.early_precision_ratio = result.early_precision / (static_cast<double>(result.early_true_edges) /
                                                           static_cast<double>(result.early_universe));
  return result;
}

base::Json to_json(const BeelineResult& result) {
  const auto number = [](double value) {
    return std::isfinite(value) ? base::Json(value) : base::Json(nullptr);
  };
  return {{"protocol", "beeline"},
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
