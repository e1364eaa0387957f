// SPDX-License-Identifier: Apache-2.0
#include "experiments/report/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "experiments/report/search_figure.hpp"
#include "experiments/report/series_colour.hpp"
#include "experiments/report/setting_curves.hpp"
#include "multigrnformer/experiments/comparison.hpp"

namespace mgrn::experiments {
namespace {

constexpr const char* kBars = "Marks are means over runs, bars one standard deviation. ";
constexpr std::size_t kMetricsShown = 3;       // AUROC, average precision, AUROC within TFs
constexpr std::size_t kMostPanelsOfAKey = 12;  // settings of a search that get a panel each

/// A group and where it stands in a figure.
struct Placed {
  const RunGroup* group;
  std::string row;
  std::string series;
  std::size_t colour;
};

template <typename Of>
std::vector<std::string> in_order(const std::vector<Placed>& placed, Of of) {
  std::vector<std::string> names;
  for (const auto& item : placed) {
    if (std::find(names.begin(), names.end(), of(item)) == names.end()) {
      names.push_back(of(item));
    }
  }
  return names;
}

std::optional<Estimate> estimate_of(const RunGroup& group, const char* metric) {
  const auto values = group.values(metric);
  if (values.empty()) {
    return std::nullopt;
  }
  return Estimate{.mean = evaluate::mean(values),
                  .deviation = evaluate::standard_deviation(values),
                  .runs = values.size()};
}

std::optional<double> random_of(const RunGroup& group, const Metric& metric) {
  const double value = *metric.random == '\0' ? 0.5 : group.mean(metric.random);
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<double> degree_of(const RunGroup& group, const Metric& metric) {
  const double value = *metric.degree == '\0' ? std::nan("") : group.mean(metric.degree);
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::vector<Chart> interval_panels(const std::vector<Placed>& placed) {
  const auto rows = in_order(placed, [](const Placed& item) { return item.row; });
  const auto series = in_order(placed, [](const Placed& item) { return item.series; });
  std::vector<std::size_t> colours;
  colours.reserve(series.size());
  for (const auto& name : series) {
    colours.push_back(std::find_if(placed.begin(), placed.end(), [&](const Placed& item) {
                        return item.series == name;
                      })->colour);
  }
  std::vector<Chart> panels;
  for (std::size_t m = 0; m < kMetricsShown; ++m) {
    const Metric& metric = compared_metrics()[m];
    IntervalChart chart{.title = metric.name, .series = series, .colours = colours, .rows = {}};
    chart.title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(chart.title[0])));
    bool any = false;
    for (const auto& row : rows) {
      IntervalChart::Row line{.label = row,
                              .random = std::nullopt,
                              .degree = std::nullopt,
                              .estimates = std::vector<std::optional<Estimate>>(series.size())};
      for (const auto& item : placed) {
        if (item.row != row) {
          continue;
        }
        const auto place = std::find(series.begin(), series.end(), item.series) - series.begin();
        line.estimates[static_cast<std::size_t>(place)] = estimate_of(*item.group, metric.key);
        any = any || line.estimates[static_cast<std::size_t>(place)];
        // The control belongs to the split, which all series of a row share.
        if (!line.random) {
          line.random = random_of(*item.group, metric);
        }
        if (!line.degree) {
          line.degree = degree_of(*item.group, metric);
        }
      }
      chart.rows.push_back(std::move(line));
    }
    if (any) {
      panels.emplace_back(std::move(chart));
    }
  }
  return panels;
}

std::set<std::string> values_in(const std::vector<RunGroup>& groups, const std::string& setting,
                                std::string RunGroup::*member) {
  std::set<std::string> values;
  for (const auto& group : groups) {
    if (setting.empty() || group.setting == setting) {
      values.insert(group.*member);
    }
  }
  return values;
}

/// The setting, and what else of a group is not the same for all groups of its setting.
std::string row_name(const std::vector<RunGroup>& groups, const RunGroup& group,
                     const std::vector<std::string RunGroup::*>& told) {
  std::string name = group.setting;
  for (const auto member : told) {
    if (values_in(groups, group.setting, member).size() > 1) {
      name += " · " + group.*member;
    }
  }
  return name;
}

void add_figure(std::vector<Figure>& figures, Figure figure) {
  if (!figure.charts.empty()) {
    figures.push_back(std::move(figure));
  }
}

/// One strategy, so that methods are compared on equal terms.
std::string common_strategy(const std::vector<RunGroup>& groups) {
  return values_in(groups, "", &RunGroup::strategy).contains("standard") ? "standard"
                                                                         : groups.front().strategy;
}

Figure benchmark(const std::vector<RunGroup>& groups) {
  const std::string strategy = common_strategy(groups);
  std::vector<Placed> placed;
  for (const auto& group : groups) {
    if (group.strategy == strategy) {
      placed.push_back({&group, row_name(groups, group, {&RunGroup::omics}), group.method,
                        colour_of(groups, group, &RunGroup::method)});
    }
  }
  return {.name = "benchmark",
          .title = "Every setting and method",
          .caption = std::string(kBars) + "Strategy " + strategy + ". In kind the paper's Figure 3.",
          .charts = interval_panels(placed)};
}

/// Strategies side by side; only rows that have at least two of them.
std::vector<Placed> strategies_side_by_side(const std::vector<RunGroup>& groups,
                                            const std::function<bool(const std::string&)>& wanted) {
  std::vector<Placed> placed;
  for (const auto& group : groups) {
    if (wanted(group.strategy)) {
      placed.push_back({&group, row_name(groups, group, {&RunGroup::method, &RunGroup::omics}),
                        group.strategy, colour_of(groups, group, &RunGroup::strategy)});
    }
  }
  std::map<std::string, int> count;
  for (const auto& item : placed) {
    ++count[item.row];
  }
  std::erase_if(placed, [&](const Placed& item) { return count.at(item.row) < 2; });
  return placed;
}

/// Groups that differ along one axis alone, level beside level.
std::vector<Placed> along_axis(const std::vector<RunGroup>& groups, const std::vector<std::string>& keys,
                               const std::function<std::string(const RunGroup&)>& level) {
  std::map<std::string, std::vector<const RunGroup*>> units;
  std::vector<std::string> order;
  for (const auto& group : groups) {
    if (level(group).empty()) {
      continue;
    }
    const std::string unit = group.method + '\n' + group.strategy + '\n' + signature(group, keys);
    if (units[unit].empty()) {
      order.push_back(unit);
    }
    units[unit].push_back(&group);
  }
  std::vector<Placed> placed;
  for (const auto& unit : order) {
    std::set<std::string> levels;
    for (const auto* group : units[unit]) {
      levels.insert(level(*group));
    }
    if (levels.size() < 2) {
      continue;
    }
    const RunGroup& first = *units[unit].front();
    const std::string row = row_name(groups, first, {&RunGroup::method, &RunGroup::strategy});
    std::size_t colour = 0;
    for (const auto& wanted : levels) {  // by name: rna before rna+atac, none before same-dataset
      for (const auto* group : units[unit]) {
        if (level(*group) == wanted) {
          placed.push_back({group, row, wanted, colour});
        }
      }
      ++colour;
    }
  }
  return placed;
}

Figure protocols(const std::vector<RunGroup>& groups) {
  const auto level = [](const RunGroup& group) {
    return group.protocol.negatives + ", " + group.protocol.split;
  };
  auto placed = along_axis(groups, {"pairs.negatives", "pairs.split"}, level);
  const std::string strategy = common_strategy(groups);
  std::erase_if(placed, [&](const Placed& item) { return item.group->strategy != strategy; });
  // Every protocol has controls of its own, so each gets a row.
  for (auto& item : placed) {
    item.row = item.group->setting + " · " + level(*item.group);
    item.series = item.group->method;
    item.colour = colour_of(groups, *item.group, &RunGroup::method);
  }
  return {
      .name = "protocols",
      .title = "The same data under other negatives and splits",
      .caption =
          std::string(kBars) +
          "Where degree-only falls to 0.5, what a score keeps cannot come from knowing the network's hubs.",
      .charts = interval_panels(placed)};
}

struct Searched {
  const char* key;
  const char* label;
  const char* figure;
  const char* title;
  const char* paper;
};
constexpr Searched kSearched[] = {
    {"model.cells", "cells in a sample (N)", "parameter-cells", "Cells in a sample", "Figure 2"},
    {"model.layers", "encoder layers (L)", "parameter-layers", "Encoder layers", "Figure 2"},
    {"model.hidden", "hidden units of the predictor", "parameter-hidden", "Hidden units", "Figure 2"},
    {"pairs.augment", "augmentation factor", "augmentation-factor", "Augmentation factor", "Figure 4"}};

std::string common_name(const std::vector<const RunGroup*>& groups) {
  std::string name = groups.front()->setting;
  for (const auto* group : groups) {
    const auto differ = std::mismatch(name.begin(), name.end(), group->setting.begin(), group->setting.end());
    name.erase(differ.first, name.end());
  }
  const auto last = name.find_last_not_of("-_.+ ");
  return last == std::string::npos ? groups.front()->setting : name.substr(0, last + 1);
}

double number_in(const RunGroup& group, const char* key) {
  const auto& config = group.runs.front().config;
  const auto place = config.find(key);
  return place == config.end() ? std::nan("") : std::strtod(place->second.c_str(), nullptr);
}

/// Groups that differ in `searched` alone (and in `free`), with at least three values of it.
std::vector<std::vector<const RunGroup*>> searches(const std::vector<RunGroup>& groups, const char* searched,
                                                   std::vector<std::string> free) {
  free.emplace_back(searched);
  std::vector<std::pair<std::string, std::vector<const RunGroup*>>> units;
  for (const auto& group : groups) {
    const std::string unit =
        group.method + (group.protocol.leak.empty() ? "\n" : "\npretrained\n") + signature(group, free);
    auto place =
        std::find_if(units.begin(), units.end(), [&](const auto& other) { return other.first == unit; });
    if (place == units.end()) {
      place = units.insert(units.end(), {unit, {}});
    }
    place->second.push_back(&group);
  }
  std::vector<std::vector<const RunGroup*>> found;
  for (auto& [unit, members] : units) {
    std::set<double> values;
    for (const auto* group : members) {
      values.insert(number_in(*group, searched));
    }
    if (values.size() > 2) {
      found.push_back(std::move(members));
    }
  }
  return found;
}

CurveChart search_panel(const std::vector<const RunGroup*>& members, const Searched& searched,
                        const Metric& metric) {
  std::map<double, std::vector<const RunGroup*>> by_value;
  for (const auto* group : members) {
    by_value[number_in(*group, searched.key)].push_back(group);
  }
  CurveChart chart{.title = common_name(members) + ": " + metric.name,
                   .x_label = searched.label,
                   .y_label = metric.name,
                   .curves = {}};
  CurveChart::Curve curve{.name = members.front()->method, .marks = true, .x = {}, .y = {}};
  CurveChart::Curve random{.name = "random", .role = CurveChart::Role::random, .x = {}, .y = {}};
  CurveChart::Curve degree{.name = "degree-only", .role = CurveChart::Role::degree, .x = {}, .y = {}};
  for (const auto& [value, groups] : by_value) {
    std::vector<double> means, randoms, degrees;
    std::optional<Estimate> only;
    for (const auto* group : groups) {
      if (const auto estimate = estimate_of(*group, metric.key)) {
        only = estimate;
        means.push_back(estimate->mean);
        if (const auto control = random_of(*group, metric)) {
          randoms.push_back(*control);
        }
        if (const auto control = degree_of(*group, metric)) {
          degrees.push_back(*control);
        }
      }
    }
    if (means.empty()) {
      continue;
    }
    curve.x.push_back(value);
    curve.y.push_back(means.size() == 1 ? *only
                                        : Estimate{.mean = evaluate::mean(means),
                                                   .deviation = evaluate::standard_deviation(means),
                                                   .runs = means.size()});
    for (auto* control : {&random, &degree}) {
      const auto& values = control == &random ? randoms : degrees;
      if (!values.empty()) {
        control->x.push_back(value);
        control->y.push_back({.mean = evaluate::mean(values)});
      }
    }
  }
  for (auto* one : {&degree, &random, &curve}) {
    if (!one->x.empty()) {
      chart.curves.push_back(std::move(*one));
    }
  }
  return chart;
}

void add_searches(std::vector<Figure>& figures, const std::vector<RunGroup>& groups) {
  for (const auto& searched : kSearched) {
    auto found = searches(groups, searched.key, {});
    std::string caption = kBars;
    if (found.size() > kMostPanelsOfAKey) {
      // A full grid: one panel for each dataset, averaged over the other keys, as in the paper.
      std::vector<std::string> free;
      for (const auto& other : kSearched) {
        free.emplace_back(other.key);
      }
      found = searches(groups, searched.key, free);
      caption = "Marks are means over all values of the other keys, bars the standard deviation over them. ";
    }
    Figure figure{.name = searched.figure,
                  .title = searched.title,
                  .caption = caption + "In kind the paper's " + searched.paper + ".",
                  .charts = {}};
    for (const auto& members : found) {
      for (std::size_t m = 0; m < 2; ++m) {
        figure.charts.emplace_back(search_panel(members, searched, compared_metrics()[m]));
      }
    }
    add_figure(figures, std::move(figure));
  }
}

}  // namespace

std::vector<Figure> make_figures(const std::vector<RunGroup>& groups, const std::filesystem::path& out) {
  std::vector<Figure> figures;
  add_figure(figures, search_figure(out / "search.csv"));
  if (groups.empty()) {
    return figures;
  }
  add_figure(figures, benchmark(groups));
  add_searches(figures, groups);
  add_figure(figures,
             {.name = "augmentation",
              .title = "Without and with augmentation",
              .caption = std::string(kBars) + "In kind the paper's Figure 5.",
              .charts = interval_panels(strategies_side_by_side(groups, [](const std::string& strategy) {
                return strategy == "standard" || strategy == "augment";
              }))});
  const auto strategies = values_in(groups, "", &RunGroup::strategy);
  const bool more = std::any_of(strategies.begin(), strategies.end(), [](const std::string& strategy) {
    return strategy != "standard" && strategy.rfind("augment", 0) != 0 && strategy != "zero-shot";
  });
  if (more) {
    add_figure(
        figures,
        {.name = "strategies",
         .title = "Training strategies",
         .caption = std::string(kBars) +
                    "cross: pretrained on the other datasets, then fine-tuned; both: with augmentation "
                    "besides. In kind the paper's Figure 6.",
         .charts = interval_panels(strategies_side_by_side(
             groups, [](const std::string& strategy) { return strategy != "zero-shot"; }))});
  }
  if (strategies.contains("zero-shot")) {
    std::vector<Placed> placed;
    for (const auto& group : groups) {
      if (group.strategy == "zero-shot" || group.strategy == "standard") {
        placed.push_back({&group, row_name(groups, group, {&RunGroup::method, &RunGroup::omics}),
                          group.strategy, colour_of(groups, group, &RunGroup::strategy)});
      }
    }
    add_figure(figures,
               {.name = "zero-shot",
                .title = "Pretrained on other datasets, never shown the target",
                .caption = std::string(kBars) + "The paper's section 3.4 found scores barely above random.",
                .charts = interval_panels(placed)});
  }
  add_figure(figures, {.name = "omics",
                       .title = "RNA alone and RNA + ATAC",
                       .caption = std::string(kBars) + "In kind the paper's Figure 7.",
                       .charts = interval_panels(along_axis(
                           groups, {"data.modalities"}, [](const RunGroup& group) { return group.omics; }))});
  add_figure(
      figures,
      {.name = "leak",
       .title = "Both rules for what pretraining may see",
       .caption = std::string(kBars) +
                  "none: the target's test pairs are left out of pretraining by symbol, in every dataset; "
                  "same-dataset: only pairs of the target itself, which is what the paper probably did.",
       .charts = interval_panels(
           along_axis(groups, {"cross.leak"}, [](const RunGroup& group) { return group.protocol.leak; }))});
  add_figure(figures, protocols(groups));
  for (auto& figure : setting_curves(groups)) {
    add_figure(figures, std::move(figure));
  }
  return figures;
}

const std::vector<std::string>& figure_names() {
  static const std::vector<std::string> names = {"parameters",
                                                 "benchmark",
                                                 "parameter-cells",
                                                 "parameter-layers",
                                                 "parameter-hidden",
                                                 "augmentation-factor",
                                                 "augmentation",
                                                 "strategies",
                                                 "zero-shot",
                                                 "omics",
                                                 "leak",
                                                 "protocols",
                                                 "roc",
                                                 "precision-recall",
                                                 "training"};
  return names;
}

}  // namespace mgrn::experiments
