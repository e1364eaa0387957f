// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "multigrnformer/base/error.hpp"

namespace mgrn::evaluate {
namespace {

// 2 x positives x negatives of a whole-genome universe exceeds 64 bits.
__extension__ using Uint128 = unsigned __int128;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Neumaier's compensated sum: curves have as many steps as there are distinct scores, and the result is
// compared to twelve digits.
class Sum {
 public:
  void add(double value) {
    const double total = sum_ + value;
    lost_ += std::abs(sum_) >= std::abs(value) ? (sum_ - total) + value : (value - total) + sum_;
    sum_ = total;
  }
  double value() const { return sum_ + lost_; }

 private:
  double sum_ = 0.0;
  double lost_ = 0.0;
};

struct Totals {
  std::uint64_t positives = 0;
  std::uint64_t negatives = 0;
};

Totals totals(const Ranking& ranking) {
  Totals all;
  for (const ScoreGroup& group : ranking) {
    all.positives += group.positives;
    all.negatives += group.negatives;
  }
  return all;
}

void check_sizes(std::size_t scores, std::size_t labels, const char* what) {
  if (scores != labels) {
    throw base::InternalError({.what = std::string("as many ") + what + " as scores are needed",
                               .expected = std::to_string(scores),
                               .got = std::to_string(labels)});
  }
}

using Scored = std::pair<double, std::uint8_t>;

void check_pair(double score, std::uint8_t label) {
  if (std::isnan(score)) {
    throw base::NumericError({.what = "a pair's score is not a number",
                              .expected = "a finite score",
                              .got = "nan",
                              .hint = "look for non-finite weights in the model or the ranked list"});
  }
  if (label > 1) {
    throw base::InternalError(
        {.what = "a pair's label is neither 0 nor 1", .expected = "0 or 1", .got = std::to_string(label)});
  }
}

// Sorts `pairs` and groups equal scores; -0 and +0 are one score.
Ranking rank_pairs(std::span<Scored> pairs) {
  std::sort(pairs.begin(), pairs.end(), [](const Scored& a, const Scored& b) { return a.first > b.first; });
  Ranking ranking;
  for (const auto& [score, label] : pairs) {
    if (ranking.empty() || ranking.back().score != score) {
      ranking.push_back({.score = score});
    }
    ++(label != 0 ? ranking.back().positives : ranking.back().negatives);
  }
  return ranking;
}

}  // namespace

Ranking rank_scores(std::span<const double> scores, std::span<const std::uint8_t> labels) {
  check_sizes(scores.size(), labels.size(), "labels");
  std::vector<Scored> pairs;
  pairs.reserve(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    check_pair(scores[i], labels[i]);
    pairs.emplace_back(scores[i], labels[i]);
  }
  return rank_pairs(pairs);
}

double auroc(const Ranking& ranking) {
  const Totals all = totals(ranking);
  if (all.positives == 0 || all.negatives == 0) {
    return kNan;
  }
  // Twice the Mann-Whitney statistic, so that half credits stay integers and the only rounding is the
  // division's.
  Uint128 doubled = 0;
  std::uint64_t negatives_below = all.negatives;
  for (const ScoreGroup& group : ranking) {
    negatives_below -= group.negatives;
    doubled += Uint128{group.positives} * (2 * Uint128{negatives_below} + group.negatives);
  }
  return static_cast<double>(doubled) /
         static_cast<double>(2 * Uint128{all.positives} * Uint128{all.negatives});
}

double auroc(std::span<const double> scores, std::span<const std::uint8_t> labels) {
  return auroc(rank_scores(scores, labels));
}

double average_precision(const Ranking& ranking) {
  const Totals all = totals(ranking);
  if (all.positives == 0) {
    return kNan;
  }
  Sum area;
  std::uint64_t hits = 0;
  std::uint64_t kept = 0;
  for (const ScoreGroup& group : ranking) {
    hits += group.positives;
    kept += group.positives + group.negatives;
    if (group.positives != 0) {
      area.add(static_cast<double>(group.positives) * static_cast<double>(hits) / static_cast<double>(kept));
    }
  }
  return area.value() / static_cast<double>(all.positives);
}

double average_precision(std::span<const double> scores, std::span<const std::uint8_t> labels) {
  return average_precision(rank_scores(scores, labels));
}

double auprc_trapezoid(const Ranking& ranking) {
  const Totals all = totals(ranking);
  if (all.positives == 0) {
    return kNan;
  }
  Sum area;
  std::uint64_t hits = 0;
  std::uint64_t kept = 0;
  double precision_before = 1.0;  // the curve starts at recall 0, precision 1
  for (const ScoreGroup& group : ranking) {
    if (group.positives == 0 && group.negatives == 0) {
      continue;
    }
    hits += group.positives;
    kept += group.positives + group.negatives;
    const double precision = static_cast<double>(hits) / static_cast<double>(kept);
    area.add(static_cast<double>(group.positives) * 0.5 * (precision + precision_before));
    precision_before = precision;
  }
  return area.value() / static_cast<double>(all.positives);
}

double auprc_trapezoid(std::span<const double> scores, std::span<const std::uint8_t> labels) {
  return auprc_trapezoid(rank_scores(scores, labels));
}

double auprc_davis_goadrich(const Ranking& ranking) {
  const Totals all = totals(ranking);
  if (all.positives == 0) {
    return kNan;
  }
  Sum area;
  double hits = 0;
  double misses = 0;
  double precision_before = 0.0;
  for (const ScoreGroup& group : ranking) {
    const auto positives = static_cast<double>(group.positives);
    const auto negatives = static_cast<double>(group.negatives);
    if (hits + misses == 0 && group.positives > 0) {
      precision_before = positives / (positives + negatives);
    }
    for (std::uint64_t i = 1; i <= group.positives; ++i) {
      const double step = static_cast<double>(i);
      const double precision = (hits + step) / (hits + step + misses + negatives * step / positives);
      area.add(0.5 * (precision + precision_before));
      precision_before = precision;
    }
    hits += positives;
    misses += negatives;
    if (hits + misses > 0) {
      precision_before = hits / (hits + misses);
    }
  }
  return area.value() / static_cast<double>(all.positives);
}

double auprc_davis_goadrich(std::span<const double> scores, std::span<const std::uint8_t> labels) {
  return auprc_davis_goadrich(rank_scores(scores, labels));
}

double early_precision(const Ranking& ranking, std::uint64_t wanted) {
  const Totals all = totals(ranking);
  if (all.positives == 0) {
    return kNan;
  }
  if (wanted == 0) {
    wanted = all.positives;
  }
  std::uint64_t hits = 0;
  std::uint64_t kept = 0;
  for (const ScoreGroup& group : ranking) {
    if (kept >= wanted) {
      break;
    }
    hits += group.positives;
    kept += group.positives + group.negatives;
  }
  return static_cast<double>(hits) / static_cast<double>(kept);
}

double within_group_auroc(std::span<const double> scores, std::span<const std::uint8_t> labels,
                          std::span<const std::uint32_t> group) {
  check_sizes(scores.size(), labels.size(), "labels");
  check_sizes(scores.size(), group.size(), "groups");
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return group[a] < group[b]; });

  Sum weighted;
  std::uint64_t pairs_used = 0;
  std::vector<Scored> members;
  for (std::size_t first = 0; first < order.size();) {
    members.clear();
    std::size_t last = first;
    for (; last < order.size() && group[order[last]] == group[order[first]]; ++last) {
      check_pair(scores[order[last]], labels[order[last]]);
      members.emplace_back(scores[order[last]], labels[order[last]]);
    }
    const double area = auroc(rank_pairs(members));
    if (!std::isnan(area)) {
      weighted.add(area * static_cast<double>(members.size()));
      pairs_used += members.size();
    }
    first = last;
  }
  return pairs_used == 0 ? kNan : weighted.value() / static_cast<double>(pairs_used);
}

}  // namespace mgrn::evaluate
