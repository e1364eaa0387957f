// SPDX-License-Identifier: Apache-2.0
#include "experiments/report/tables.hpp"

#include <cmath>

#include "multigrnformer/formats/table.hpp"

namespace mgrn::experiments {
namespace {

void add_or_leave(formats::TableWriter& table, double value) {
  if (std::isfinite(value)) {
    table.add(value);
  } else {
    table.add("");
  }
}

void add_names(formats::TableWriter& table, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    table.add(name);
  }
  table.end_row();
}

}  // namespace

std::vector<Summary> summarise(const std::vector<RunGroup>& groups, TestShares& shares) {
  std::vector<Summary> summaries;
  for (const auto& group : groups) {
    for (const auto& metric : compared_metrics()) {
      const auto values = group.values(metric.key);
      if (values.empty()) {
        continue;
      }
      Summary summary{.group = &group,
                      .metric = &metric,
                      .runs = values.size(),
                      .mean = evaluate::mean(values),
                      .deviation = evaluate::standard_deviation(values),
                      .resampled = std::nullopt,
                      .random = std::nullopt,
                      .degree = std::nullopt};
      if (values.size() > 1) {
        summary.resampled = evaluate::corrected_resampled_t(values, shares.of(group));
      }
      if (*metric.random == '\0') {
        summary.random = 0.5;
      } else if (const double random = group.mean(metric.random); std::isfinite(random)) {
        summary.random = random;
      }
      if (*metric.degree != '\0') {
        if (const double degree = group.mean(metric.degree); std::isfinite(degree)) {
          summary.degree = degree;
        }
      }
      summaries.push_back(summary);
    }
  }
  return summaries;
}

std::string summary_table(const std::vector<Summary>& summaries) {
  formats::TableWriter table;
  add_names(table, {"setting", "method", "strategy", "omics", "negatives", "split", "leak", "metric", "runs",
                    "mean", "sd", "interval_low", "interval_high", "random", "degree"});
  for (const auto& summary : summaries) {
    const RunGroup& group = *summary.group;
    table.add(group.setting).add(group.method).add(group.strategy).add(group.omics);
    table.add(group.protocol.negatives).add(group.protocol.split).add(group.protocol.leak);
    table.add(summary.metric->key).add(static_cast<std::uint64_t>(summary.runs)).add(summary.mean);
    add_or_leave(table, summary.deviation);
    const double none = std::nan("");
    add_or_leave(table, summary.resampled ? summary.resampled->interval.low : none);
    add_or_leave(table, summary.resampled ? summary.resampled->interval.high : none);
    add_or_leave(table, summary.random.value_or(none));
    add_or_leave(table, summary.degree.value_or(none));
    table.end_row();
  }
  return table.text();
}

std::string comparisons_table(const std::vector<Comparison>& comparisons) {
  formats::TableWriter table;
  add_names(table, {"axis",          "metric",
                    "first",         "second",
                    "where",         "negatives",
                    "split",         "leak",
                    "setting",       "count",
                    "first_mean",    "second_mean",
                    "difference",    "interval_low",
                    "interval_high", "p",
                    "p_holm",        "wins",
                    "ties",          "losses",
                    "rank_biserial", "median_difference"});
  const double none = std::nan("");
  const auto begin = [&](const Comparison& comparison) {
    table.add(axis_name(comparison.axis))
        .add(comparison.metric->key)
        .add(comparison.first)
        .add(comparison.second);
    table.add(comparison.where).add(comparison.protocol.negatives).add(comparison.protocol.split);
    table.add(comparison.protocol.leak);
  };
  for (const auto& comparison : comparisons) {
    std::vector<double> first, second;
    for (const auto& setting : comparison.settings) {
      first.push_back(setting.first);
      second.push_back(setting.second);
    }
    const auto& rank = comparison.signed_rank;
    begin(comparison);
    table.add("*").add(static_cast<std::uint64_t>(comparison.settings.size()));
    table.add(evaluate::mean(first)).add(evaluate::mean(second)).add(comparison.mean_difference);
    add_or_leave(table, comparison.interval ? comparison.interval->low : none);
    add_or_leave(table, comparison.interval ? comparison.interval->high : none);
    table.add(rank.p_value).add(comparison.adjusted_p).add(static_cast<std::uint64_t>(rank.wins));
    table.add(static_cast<std::uint64_t>(rank.ties)).add(static_cast<std::uint64_t>(rank.losses));
    table.add(rank.rank_biserial);
    add_or_leave(table, rank.median_difference);
    table.end_row();
    for (const auto& setting : comparison.settings) {
      begin(comparison);
      table.add(setting.setting).add(static_cast<std::uint64_t>(setting.runs));
      table.add(setting.first).add(setting.second).add(setting.difference);
      add_or_leave(table, setting.resampled ? setting.resampled->interval.low : none);
      add_or_leave(table, setting.resampled ? setting.resampled->interval.high : none);
      add_or_leave(table, setting.resampled ? setting.resampled->p_value : none);
      table.add("").add("").add("").add("").add("").add("");
      table.end_row();
    }
  }
  return table.text();
}

}  // namespace mgrn::experiments
