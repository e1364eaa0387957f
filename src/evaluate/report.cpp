// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/report.hpp"

#include <cmath>
#include <limits>
#include <unordered_map>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/evaluate/controls.hpp"
#include "multigrnformer/evaluate/metrics.hpp"

namespace mgrn::evaluate {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Numbers symbols in order of appearance, ignoring case.
class SymbolNumbers {
 public:
  std::uint32_t number(const std::string& symbol) {
    return numbers_.emplace(base::symbol_key(symbol), static_cast<std::uint32_t>(numbers_.size()))
        .first->second;
  }

 private:
  std::unordered_map<std::string, std::uint32_t> numbers_;
};

PairMetrics measure(std::span<const ScoredPair> pairs, bool only_with_cells, const DegreeControl& control) {
  std::vector<double> scores;
  std::vector<double> degree_scores;
  std::vector<std::uint8_t> labels;
  std::vector<std::uint32_t> tfs;
  std::vector<std::uint32_t> genes;
  SymbolNumbers tf_numbers;
  SymbolNumbers gene_numbers;
  for (const ScoredPair& pair : pairs) {
    if (only_with_cells && !pair.has_cells) {
      continue;
    }
    scores.push_back(pair.score);
    degree_scores.push_back(control.score(pair.tf, pair.gene));
    labels.push_back(pair.label);
    tfs.push_back(tf_numbers.number(pair.tf));
    genes.push_back(gene_numbers.number(pair.gene));
  }

  PairMetrics metrics;
  for (const std::uint8_t label : labels) {
    ++(label != 0 ? metrics.n_positive : metrics.n_negative);
  }
  metrics.random_auprc =
      labels.empty() ? kNan : static_cast<double>(metrics.n_positive) / static_cast<double>(labels.size());
  const Ranking ranking = rank_scores(scores, labels);
  metrics.auroc = auroc(ranking);
  metrics.average_precision = average_precision(ranking);
  metrics.average_precision_ratio = metrics.average_precision / metrics.random_auprc;
  metrics.auprc = auprc_trapezoid(ranking);
  metrics.auprc_ratio = metrics.auprc / metrics.random_auprc;
  metrics.auprc_davis_goadrich = auprc_davis_goadrich(ranking);
  metrics.early_precision = early_precision(ranking);
  metrics.early_precision_ratio = metrics.early_precision / metrics.random_auprc;
  metrics.within_tf_auroc = within_group_auroc(scores, labels, tfs);
  metrics.within_gene_auroc = within_group_auroc(scores, labels, genes);
  const Ranking by_degree = rank_scores(degree_scores, labels);
  metrics.degree_auroc = auroc(by_degree);
  metrics.degree_average_precision = average_precision(by_degree);
  metrics.degree_within_tf_auroc = within_group_auroc(degree_scores, labels, tfs);
  return metrics;
}

// nlohmann writes NaN as null, but an in-memory NaN would still compare as a number in summary().
base::Json number_or_null(double value) {
  return std::isfinite(value) ? base::Json(value) : base::Json(nullptr);
}

base::Json spread(const std::vector<double>& values) {
  base::Json out = {{"mean", nullptr}, {"sd", nullptr}, {"runs", values.size()}};
  if (values.empty()) {
    return out;
  }
  double sum = 0.0;
  for (const double value : values) {
    sum += value;
  }
  const auto count = static_cast<double>(values.size());
  const double mean = sum / count;
  out["mean"] = mean;
  if (values.size() > 1) {
    double squares = 0.0;
    for (const double value : values) {
      squares += (value - mean) * (value - mean);
    }
    out["sd"] = std::sqrt(squares / (count - 1.0));
  }
  return out;
}

}  // namespace

EvaluationResult evaluate_pairs(std::span<const ScoredPair> pairs,
                                std::span<const formats::NamedEdge> training_positives, std::uint64_t seed) {
  if (pairs.empty()) {
    throw base::DataError({.what = "no test pairs to evaluate",
                           .expected = "at least one labelled pair",
                           .got = "none",
                           .hint = "check the split: it needs pairs of the set 'test'"});
  }
  const DegreeControl control(training_positives);
  EvaluationResult result;
  result.seed = seed;
  result.all = measure(pairs, false, control);
  result.with_cells = measure(pairs, true, control);
  return result;
}

base::Json to_json(const PairMetrics& metrics) {
  return {{"n_positive", metrics.n_positive},
          {"n_negative", metrics.n_negative},
          {"auroc", number_or_null(metrics.auroc)},
          {"average_precision", number_or_null(metrics.average_precision)},
          {"average_precision_ratio", number_or_null(metrics.average_precision_ratio)},
          {"auprc", number_or_null(metrics.auprc)},
          {"auprc_ratio", number_or_null(metrics.auprc_ratio)},
          {"auprc_davis_goadrich", number_or_null(metrics.auprc_davis_goadrich)},
          {"random_auroc", number_or_null(metrics.random_auroc)},
          {"random_auprc", number_or_null(metrics.random_auprc)},
          {"within_tf_auroc", number_or_null(metrics.within_tf_auroc)},
          {"within_gene_auroc", number_or_null(metrics.within_gene_auroc)},
          {"early_precision", number_or_null(metrics.early_precision)},
          {"early_precision_ratio", number_or_null(metrics.early_precision_ratio)},
          {"degree_auroc", number_or_null(metrics.degree_auroc)},
          {"degree_average_precision", number_or_null(metrics.degree_average_precision)},
          {"degree_within_tf_auroc", number_or_null(metrics.degree_within_tf_auroc)}};
}

base::Json to_json(const EvaluationResult& result) {
  base::Json json = to_json(result.all);
  json["seed"] = result.seed;
  json["with_cells"] = to_json(result.with_cells);
  json["n_without_cells"] = result.all.n_positive + result.all.n_negative - result.with_cells.n_positive -
                            result.with_cells.n_negative;
  return json;
}

base::Json summary(std::span<const base::Json> results) {
  base::Json out = base::Json::object();
  // Fields are taken from all runs together: one that is null in the first run may have a value in the next.
  base::Json fields = base::Json::object();
  for (const base::Json& result : results) {
    for (const auto& [name, value] : result.items()) {
      if (!fields.contains(name) || fields[name].is_null()) {
        fields[name] = value;
      }
    }
  }
  for (const auto& [name, example] : fields.items()) {
    if (name == "seed") {
      for (const base::Json& result : results) {
        if (result.contains(name)) {
          out["seeds"].push_back(result[name]);
        }
      }
    } else if (example.is_object()) {
      std::vector<base::Json> nested;
      for (const base::Json& result : results) {
        if (result.contains(name) && result[name].is_object()) {
          nested.push_back(result[name]);
        }
      }
      out[name] = summary(nested);
    } else if (example.is_number() || example.is_null()) {
      std::vector<double> values;
      for (const base::Json& result : results) {
        if (result.contains(name) && result[name].is_number() && std::isfinite(result[name].get<double>())) {
          values.push_back(result[name].get<double>());
        }
      }
      out[name] = spread(values);
    }
  }
  return out;
}

}  // namespace mgrn::evaluate
