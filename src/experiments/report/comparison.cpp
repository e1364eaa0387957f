// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/comparison.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "multigrnformer/base/error.hpp"

namespace mgrn::experiments {
namespace {

// Set by the grid for each task, or by what came before it: no part of what a setting is.
const std::vector<std::string> kSetByTheGrid = {
    "out",        "pairs.seed",   "train.seed",        "pairs.split_file",
    "train.init", "cross.target", "cross.target_split"};

std::string level_of(const RunGroup& group, Axis axis) {
  switch (axis) {
    case Axis::strategy:
      return group.strategy;
    case Axis::method:
      return group.method;
    case Axis::omics:
      return group.omics;
    case Axis::leak:
      return group.protocol.leak;
    case Axis::protocol:
      return group.protocol.negatives + ", " + group.protocol.split;
  }
  throw base::InternalError({.what = "an axis without levels"});
}

/// What two groups must share to stand on the two sides of a pair.
std::string unit_of(const RunGroup& group, Axis axis) {
  switch (axis) {
    case Axis::strategy:
      return group.setting + '\n' + group.method + '\n' + group.omics;
    case Axis::method:
      return group.setting + '\n' + group.strategy + '\n' + group.omics;
    case Axis::omics:
      return group.method + '\n' + group.strategy + '\n' + signature(group, {"data.modalities"});
    case Axis::leak:
      return group.method + '\n' + group.strategy + '\n' + signature(group, {"cross.leak"});
    case Axis::protocol:
      return group.method + '\n' + group.strategy + '\n' +
             signature(group, {"pairs.negatives", "pairs.split"});
  }
  throw base::InternalError({.what = "an axis without units"});
}

/// What all pairs of one comparison share.
std::string shared_of(const RunGroup& group, Axis axis) {
  switch (axis) {
    case Axis::strategy:
      return group.method + (group.omics == "rna" ? ", rna" : "");
    case Axis::method:
      return group.strategy + (group.omics == "rna" ? ", rna" : "");
    default:
      return group.method + ", " + group.strategy;
  }
}

std::optional<PairedSetting> paired(const RunGroup& first, const RunGroup& second, const Metric& metric,
                                    Axis axis, TestShares& shares) {
  std::vector<double> of_first, of_second, differences;
  for (const auto& run : first.runs) {
    const auto twin = std::find_if(second.runs.begin(), second.runs.end(), [&](const FinishedRun& other) {
      return other.labels.run == run.labels.run;
    });
    if (twin == second.runs.end()) {
      continue;
    }
    const auto one = run.metric(metric.key);
    const auto other = twin->metric(metric.key);
    if (one && other) {
      of_first.push_back(*one);
      of_second.push_back(*other);
      differences.push_back(*other - *one);
    }
  }
  if (differences.empty()) {
    return std::nullopt;
  }
  PairedSetting setting{
      .setting = first.setting == second.setting ? first.setting : first.setting + " / " + second.setting,
      .runs = differences.size(),
      .first = evaluate::mean(of_first),
      .second = evaluate::mean(of_second),
      .difference = evaluate::mean(differences),
      .resampled = std::nullopt};
  // Other negatives or another split: the two sides are not scored on the same pairs, and runs are no pairs.
  if (axis != Axis::protocol && differences.size() > 1) {
    setting.resampled = evaluate::corrected_resampled_t(differences, shares.of(first));
  }
  return setting;
}

/// Whether two groups may stand in one comparison: under the same protocol but for what the axis itself
/// varies. A strategy that pretrains has a rule for leaks, one that does not has none.
bool comparable(const RunGroup& first, const RunGroup& second, Axis axis) {
  if (axis == Axis::protocol) {
    return first.protocol.leak == second.protocol.leak;
  }
  return first.protocol.negatives == second.protocol.negatives &&
         first.protocol.split == second.protocol.split;
}

void adjust_after_holm(std::vector<Comparison>& comparisons) {
  std::map<std::string, std::vector<Comparison*>> families;
  for (auto& comparison : comparisons) {
    const Protocol& protocol = comparison.protocol;
    families[std::string(axis_name(comparison.axis)) + '\n' + comparison.metric->key + '\n' +
             comparison.where + '\n' + protocol.negatives + '\n' + protocol.split]
        .push_back(&comparison);
  }
  for (auto& [name, family] : families) {
    std::stable_sort(family.begin(), family.end(), [](const Comparison* a, const Comparison* b) {
      return a->signed_rank.p_value < b->signed_rank.p_value;
    });
    double least = 0.0;
    for (std::size_t i = 0; i < family.size(); ++i) {
      const auto left = static_cast<double>(family.size() - i);
      least = std::max(least, std::min(1.0, left * family[i]->signed_rank.p_value));
      family[i]->adjusted_p = least;
    }
  }
}

std::vector<Comparison> along(Axis axis, const std::vector<RunGroup>& groups, TestShares& shares) {
  // Key: the two levels and all that the pairs of a comparison share; in order of first appearance.
  std::vector<std::pair<std::string, Comparison>> found;
  std::vector<std::string> units;
  units.reserve(groups.size());
  for (const auto& group : groups) {
    units.push_back(unit_of(group, axis));
  }
  // Which level stands first must not hang on which setting is listed first.
  std::map<std::string, std::size_t> order;
  for (const auto& group : groups) {
    order.try_emplace(level_of(group, axis), order.size());
  }
  const bool by_name = axis == Axis::omics || axis == Axis::leak;  // rna, rna+atac; none, same-dataset
  const auto precedes = [&](const RunGroup& a, const RunGroup& b) {
    const auto one = level_of(a, axis), other = level_of(b, axis);
    return by_name ? one < other : order.at(one) < order.at(other);
  };
  for (const auto& metric : compared_metrics()) {
    const std::size_t begin = found.size();
    for (std::size_t i = 0; i < groups.size(); ++i) {
      for (std::size_t j = i + 1; j < groups.size(); ++j) {
        const bool in_order = precedes(groups[i], groups[j]);
        const RunGroup& first = groups[in_order ? i : j];
        const RunGroup& second = groups[in_order ? j : i];
        if (units[i] != units[j] || level_of(first, axis) == level_of(second, axis) ||
            !comparable(first, second, axis)) {
          continue;
        }
        const auto setting = paired(first, second, metric, axis, shares);
        if (!setting) {
          continue;
        }
        Protocol protocol = second.protocol;
        if (protocol.leak.empty()) {
          protocol.leak = first.protocol.leak;
        }
        if (axis == Axis::leak || axis == Axis::protocol) {
          protocol = {};  // the two levels say it
        }
        const std::string key = level_of(first, axis) + '\n' + level_of(second, axis) + '\n' +
                                shared_of(first, axis) + '\n' + protocol.negatives + '\n' + protocol.split +
                                '\n' + protocol.leak;
        auto place = std::find_if(found.begin() + static_cast<std::ptrdiff_t>(begin), found.end(),
                                  [&](const auto& other) { return other.first == key; });
        if (place == found.end()) {
          place = found.insert(found.end(), {key, Comparison{.axis = axis,
                                                             .metric = &metric,
                                                             .first = level_of(first, axis),
                                                             .second = level_of(second, axis),
                                                             .where = shared_of(first, axis),
                                                             .protocol = protocol,
                                                             .settings = {},
                                                             .signed_rank = {},
                                                             .interval = std::nullopt}});
        }
        place->second.settings.push_back(*setting);
      }
    }
  }
  std::vector<Comparison> comparisons;
  for (auto& [key, comparison] : found) {
    std::vector<double> differences;
    for (const auto& setting : comparison.settings) {
      differences.push_back(setting.difference);
    }
    comparison.signed_rank = evaluate::signed_rank(differences);
    comparison.mean_difference = evaluate::mean(differences);
    comparison.interval = evaluate::t_interval(differences);
    comparisons.push_back(std::move(comparison));
  }
  return comparisons;
}

}  // namespace

const std::vector<Metric>& compared_metrics() {
  static const std::vector<Metric> metrics = {
      {"auroc", "AUROC", "", "degree_auroc"},
      {"average_precision", "average precision", "random_auprc", "degree_average_precision"},
      {"within_tf_auroc", "AUROC within TFs", "", "degree_within_tf_auroc"},
      {"within_gene_auroc", "AUROC within genes", "", ""}};
  return metrics;
}

const char* axis_name(Axis axis) {
  switch (axis) {
    case Axis::strategy:
      return "strategy";
    case Axis::method:
      return "method";
    case Axis::omics:
      return "omics";
    case Axis::leak:
      return "leak rule";
    case Axis::protocol:
      return "protocol";
  }
  return "unknown";
}

std::string signature(const RunGroup& group, const std::vector<std::string>& left_out) {
  std::string text;
  for (const auto& [key, value] : group.runs.front().config) {
    if (std::find(left_out.begin(), left_out.end(), key) == left_out.end() &&
        std::find(kSetByTheGrid.begin(), kSetByTheGrid.end(), key) == kSetByTheGrid.end()) {
      text += key + '=' + value + '\n';
    }
  }
  return text;
}

std::vector<Comparison> compare_groups(const std::vector<RunGroup>& groups) {
  std::vector<Comparison> comparisons;
  TestShares shares;
  for (const Axis axis : {Axis::strategy, Axis::method, Axis::omics, Axis::leak, Axis::protocol}) {
    auto some = along(axis, groups, shares);
    comparisons.insert(comparisons.end(), std::make_move_iterator(some.begin()),
                       std::make_move_iterator(some.end()));
  }
  adjust_after_holm(comparisons);
  return comparisons;
}

}  // namespace mgrn::experiments
