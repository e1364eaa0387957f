// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/stability.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "ranked_pairs.hpp"

namespace mgrn::evaluate {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// A list's ranks over the universe, less the rank that all pairs without a prediction share.
struct Ranks {
  std::unordered_map<std::uint64_t, double> deviation;  // of predicted pairs
  double sum = 0;
  double squares = 0;  // about the mean
};

Ranks ranks_of(std::vector<Prediction> predicted, std::uint64_t universe) {
  std::stable_sort(predicted.begin(), predicted.end(),
                   [](const Prediction& a, const Prediction& b) { return a.weight < b.weight; });
  const double without = static_cast<double>(universe - predicted.size());
  const double background = (without + 1) / 2;
  Ranks ranks;
  double raw = 0;
  for (std::size_t first = 0; first < predicted.size();) {
    std::size_t last = first;
    while (last < predicted.size() && predicted[last].weight == predicted[first].weight) {
      ++last;
    }
    const double rank = without + static_cast<double>(first) + (static_cast<double>(last - first) + 1) / 2;
    for (; first < last; ++first) {
      ranks.deviation.emplace(pair_key(predicted[first].from, predicted[first].to), rank - background);
      ranks.sum += rank - background;
      raw += (rank - background) * (rank - background);
    }
  }
  ranks.squares = raw - ranks.sum * ranks.sum / static_cast<double>(universe);
  return ranks;
}

double spearman(const Ranks& a, const Ranks& b, std::uint64_t universe) {
  double products = 0;
  for (const auto& [pair, deviation] : a.deviation) {
    if (const auto found = b.deviation.find(pair); found != b.deviation.end()) {
      products += deviation * found->second;
    }
  }
  const double scale = std::sqrt(a.squares * b.squares);
  return scale > 0 ? (products - a.sum * b.sum / static_cast<double>(universe)) / scale : kNan;
}

double jaccard(const std::unordered_set<std::uint64_t>& a, const std::unordered_set<std::uint64_t>& b) {
  const auto both = static_cast<double>(
      std::count_if(a.begin(), a.end(), [&](std::uint64_t pair) { return b.contains(pair); }));
  const double either = static_cast<double>(a.size() + b.size()) - both;
  return either > 0 ? both / either : kNan;
}

base::Json spread(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  base::Json out = {{"pairs", values.size()}, {"median", nullptr}, {"mean", nullptr},
                    {"sd", nullptr},          {"least", nullptr},  {"largest", nullptr}};
  if (values.empty()) {
    return out;
  }
  std::sort(values.begin(), values.end());
  const std::size_t count = values.size();
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(count);
  out["median"] = (values[(count - 1) / 2] + values[count / 2]) / 2;
  out["mean"] = mean;
  out["least"] = values.front();
  out["largest"] = values.back();
  if (count > 1) {
    double squares = 0;
    for (const double value : values) {
      squares += (value - mean) * (value - mean);
    }
    out["sd"] = std::sqrt(squares / static_cast<double>(count - 1));
  }
  return out;
}

}  // namespace

Stability evaluate_stability(std::span<const formats::EdgeTable> lists,
                             std::span<const formats::NamedEdge> network, const BeelineOptions& options) {
  if (lists.size() < 2) {
    throw base::UsageError({.what = "stability needs several ranked lists",
                            .file = "edges",
                            .expected = "two or more",
                            .got = std::to_string(lists.size()),
                            .hint = "give --edges A,B,C: the lists of several runs"});
  }
  Reference reference(network);
  const EarlyUniverse universe(reference, options);
  Stability result{.lists = lists.size(),
                   .universe = universe.pairs,
                   .best = universe.true_edges,
                   .tf_only = options.early_tf_only,
                   .pairs = {}};
  std::vector<std::unordered_set<std::uint64_t>> best;
  std::vector<Ranks> ranks;
  for (const auto& list : lists) {
    const Predictions predictions = predictions_of(list, reference);
    std::vector<Prediction> inside;
    for (const Prediction& pair : predictions.pairs) {
      const bool counts = pair.from < reference.genes && pair.to < reference.genes && pair.weight > 0.0;
      if (counts && universe.holds(pair, reference)) {
        inside.push_back(pair);
      }
    }
    best.emplace_back();
    for (const Prediction& pair : best_predictions(inside, universe, reference, universe.true_edges)) {
      best.back().insert(pair_key(pair.from, pair.to));
    }
    ranks.push_back(ranks_of(std::move(inside), universe.pairs));
  }
  for (std::size_t a = 0; a < lists.size(); ++a) {
    for (std::size_t b = a + 1; b < lists.size(); ++b) {
      result.pairs.push_back({.first = a,
                              .second = b,
                              .jaccard = jaccard(best[a], best[b]),
                              .spearman = spearman(ranks[a], ranks[b], universe.pairs)});
    }
  }
  return result;
}

base::Json to_json(const Stability& stability) {
  const auto number = [](double value) {
    return std::isfinite(value) ? base::Json(value) : base::Json(nullptr);
  };
  std::vector<double> jaccards;
  std::vector<double> spearmans;
  base::Json pairs = base::Json::array();
  for (const Agreement& pair : stability.pairs) {
    jaccards.push_back(pair.jaccard);
    spearmans.push_back(pair.spearman);
    pairs.push_back({{"first", pair.first + 1},
                     {"second", pair.second + 1},
                     {"jaccard", number(pair.jaccard)},
                     {"spearman", number(pair.spearman)}});
  }
  return {{"protocol", "stability"},
          {"n_lists", stability.lists},
          {"universe", stability.tf_only ? "regulators x genes" : "all ordered pairs"},
          {"n_universe", stability.universe},
          {"n_best", stability.best},
          {"jaccard", spread(jaccards)},
          {"spearman", spread(spearmans)},
          {"pairs", pairs}};
}

}  // namespace mgrn::evaluate
