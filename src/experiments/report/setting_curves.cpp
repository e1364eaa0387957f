// SPDX-License-Identifier: Apache-2.0
#include "experiments/report/setting_curves.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>

#include <set>
#include <sstream>

#include "experiments/report/series_colour.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/progress.hpp"
#include "multigrnformer/evaluate/controls.hpp"
#include "multigrnformer/evaluate/metrics.hpp"
#include "multigrnformer/evaluate/predictions_file.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSteps = 50;        // of a curve's horizontal axis
constexpr std::size_t kMostCurves = 8;    // in one panel: one for each colour
constexpr std::size_t kMostEpochs = 100;  // points of a training curve

using Heights = std::array<double, kSteps + 1>;

double at_step(std::size_t step) {
  return static_cast<double>(step) / static_cast<double>(kSteps);
}

struct Totals {
  double positives = 0.0, negatives = 0.0;
};

Totals totals_of(const evaluate::Ranking& ranking) {
  Totals totals;
  for (const auto& group : ranking) {
    totals.positives += static_cast<double>(group.positives);
    totals.negatives += static_cast<double>(group.negatives);
  }
  return totals;
}

/// True-positive rate at each false-positive rate; straight between thresholds, which ties are worth.
Heights roc_heights(const evaluate::Ranking& ranking) {
  const Totals totals = totals_of(ranking);
  Heights heights{};
  double x = 0.0, y = 0.0;
  std::size_t step = 0;
  for (const auto& group : ranking) {
    const double next_x = x + static_cast<double>(group.negatives) / totals.negatives;
    const double next_y = y + static_cast<double>(group.positives) / totals.positives;
    for (; step < kSteps && at_step(step) < next_x; ++step) {
      heights[step] = y + (next_y - y) * (at_step(step) - x) / (next_x - x);
    }
    x = next_x;
    y = next_y;
  }
  for (; step <= kSteps; ++step) {
    heights[step] = 1.0;
  }
  return heights;
}

/// Precision at the first threshold that reaches each recall: steps, as average precision counts them.
Heights precision_heights(const evaluate::Ranking& ranking) {
  const Totals totals = totals_of(ranking);
  Heights heights{};
  double hits = 0.0, kept = 0.0;
  std::size_t step = 0;
  for (const auto& group : ranking) {
    hits += static_cast<double>(group.positives);
    kept += static_cast<double>(group.positives + group.negatives);
    // The first step asks for the first hit, not for none.
    for (; step <= kSteps && hits > 0.0 && hits / totals.positives >= at_step(step) - 1e-12; ++step) {
      heights[step] = hits / kept;
    }
  }
  return heights;
}

/// Means over runs, step by step.
class MeanCurve {
 public:
  void add(const Heights& heights) {
    for (std::size_t step = 0; step <= kSteps; ++step) {
      sum_[step] += heights[step];
    }
    ++runs_;
  }
  bool empty() const { return runs_ == 0; }
  void fill(CurveChart::Curve& curve) const {
    for (std::size_t step = 0; step <= kSteps; ++step) {
      curve.x.push_back(at_step(step));
      curve.y.push_back({.mean = sum_[step] / static_cast<double>(runs_)});
    }
  }

 private:
  Heights sum_{};
  std::size_t runs_ = 0;
};

struct ScoreCurves {
  MeanCurve roc, precision;
  std::vector<double> shares;  ///< of positives, by run
};

void add_scores(ScoreCurves& curves, const std::vector<evaluate::ScoredPair>& pairs,
                const std::function<double(const evaluate::ScoredPair&)>& score) {
  std::vector<double> scores;
  std::vector<std::uint8_t> labels;
  for (const auto& pair : pairs) {
    scores.push_back(score(pair));
    labels.push_back(pair.label);
  }
  const auto ranking = evaluate::rank_scores(scores, labels);
  const Totals totals = totals_of(ranking);
  if (totals.positives > 0.0 && totals.negatives > 0.0) {
    curves.roc.add(roc_heights(ranking));
    curves.precision.add(precision_heights(ranking));
    curves.shares.push_back(totals.positives / (totals.positives + totals.negatives));
  }
}

/// What tells the groups of one setting apart.
std::vector<std::string> names_within(const std::vector<const RunGroup*>& groups) {
  std::vector<std::string> names(groups.size());
  for (const auto member : {&RunGroup::method, &RunGroup::strategy, &RunGroup::omics}) {
    std::set<std::string> values;
    for (const auto* group : groups) {
      values.insert(group->*member);
    }
    for (std::size_t i = 0; values.size() > 1 && i < groups.size(); ++i) {
      names[i] += (names[i].empty() ? "" : ", ") + groups[i]->*member;
    }
  }
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (names[i].empty()) {
      names[i] = groups[i]->method;
    }
  }
  return names;
}

/// As in the other figures where one thing alone tells the groups apart; else one after the other.
std::vector<std::size_t> colours_within(const std::vector<RunGroup>& all,
                                        const std::vector<const RunGroup*>& groups,
                                        const std::vector<std::string>& names) {
  for (const auto member : {&RunGroup::strategy, &RunGroup::method}) {
    std::vector<std::size_t> colours;
    for (std::size_t i = 0; i < groups.size() && names[i] == groups[i]->*member; ++i) {
      colours.push_back(colour_of(all, *groups[i], member));
    }
    if (colours.size() == groups.size()) {
      return colours;
    }
  }
  std::vector<std::size_t> colours(groups.size());
  std::iota(colours.begin(), colours.end(), std::size_t{0});
  return colours;
}

/// Losses by epoch, summed over runs.
struct Losses {
  double loss = 0.0, validation = 0.0;
  std::size_t losses = 0, validations = 0;
};

void add_losses(std::map<std::int64_t, Losses>& by_epoch, const fs::path& file) {
  if (!fs::exists(file)) {
    return;  // a method that does not train
  }
  std::istringstream lines(base::read_file(file));
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const auto json = base::Json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("epoch") || !json["epoch"].is_number_integer()) {
      throw base::DataError({.what = "illegal line " + std::to_string(number),
                             .file = file.string(),
                             .expected = "an object with an epoch",
                             .got = line.substr(0, 60),
                             .hint = "remove that task's folder and start `grid run` again"});
    }
    Losses& losses = by_epoch[json["epoch"].get<std::int64_t>()];
    const auto take = [&](const char* key, double& sum, std::size_t& count) {
      const auto place = json.find(key);
      if (place != json.end() && place->is_number()) {
        sum += place->get<double>();
        ++count;
      }
    };
    take("loss", losses.loss, losses.losses);
    take("validation_loss", losses.validation, losses.validations);
  }
}

void add_training(CurveChart& chart, const RunGroup& group, const std::string& name, std::size_t series) {
  std::map<std::int64_t, Losses> by_epoch;
  for (const auto& run : group.runs) {
    add_losses(by_epoch, run.folder / "metrics.jsonl");
  }
  CurveChart::Curve loss{.name = name, .series = series, .x = {}, .y = {}};
  CurveChart::Curve validation{
      .name = "", .role = CurveChart::Role::faint, .series = series, .x = {}, .y = {}};
  const std::size_t every = by_epoch.size() / kMostEpochs + 1;
  std::size_t index = 0;
  for (const auto& [epoch, losses] : by_epoch) {
    if (index++ % every != 0 && index != by_epoch.size()) {
      continue;
    }
    const auto x = static_cast<double>(epoch + 1);
    if (losses.losses > 0) {
      loss.x.push_back(x);
      loss.y.push_back({.mean = losses.loss / static_cast<double>(losses.losses)});
    }
    if (losses.validations > 0) {
      validation.x.push_back(x);
      validation.y.push_back({.mean = losses.validation / static_cast<double>(losses.validations)});
    }
  }
  for (auto* curve : {&validation, &loss}) {
    if (!curve->x.empty()) {
      chart.curves.push_back(std::move(*curve));
    }
  }
}

CurveChart::Curve diagonal() {
  return {.name = "random",
          .role = CurveChart::Role::random,
          .x = {0.0, 1.0},
          .y = {Estimate{.mean = 0.0}, Estimate{.mean = 1.0}}};
}

}  // namespace

std::vector<Figure> setting_curves(const std::vector<RunGroup>& groups) {
  Figure roc{.name = "roc",
             .title = "ROC curves",
             .caption = "Means over runs at equal false-positive rates.",
             .charts = {},
             .one_per_setting = true};
  Figure precision{
      .name = "precision-recall",
      .title = "Precision-recall curves",
      .caption = "Means over runs at equal recalls; precision at the first threshold that reaches them.",
      .charts = {},
      .one_per_setting = true};
  Figure training{
      .name = "training",
      .title = "Training curves",
      .caption =
          "Binary cross entropy by epoch, means over runs; dashed: validation pairs. The dotted line is "
          "the loss of a coin, ln 2.",
      .charts = {},
      .one_per_setting = true};
  std::vector<std::pair<std::string, std::vector<const RunGroup*>>> settings;
  std::uint64_t runs = 0;
  for (const auto& group : groups) {
    auto place = std::find_if(settings.begin(), settings.end(),
                              [&](const auto& other) { return other.first == group.setting; });
    if (place == settings.end()) {
      place = settings.insert(settings.end(), {group.setting, {}});
    }
    place->second.push_back(&group);
    runs += group.runs.size();
  }
  base::Progress progress("reading predictions", runs, "runs");
  for (const auto& [setting, members] : settings) {
    const auto names = names_within(members);
    const auto colours = colours_within(groups, members, names);
    ScoreCurves by_degree;
    std::set<std::uint64_t> runs_seen;  // run r has the same split in all groups
    const std::size_t parts = (members.size() + kMostCurves - 1) / kMostCurves;
    std::vector<std::array<CurveChart, 3>> panels;
    for (std::size_t first = 0; first < members.size(); first += kMostCurves) {
      const std::string title =
          parts == 1 ? setting : fmt::format("{} ({} of {})", setting, panels.size() + 1, parts);
      panels.push_back({CurveChart{.title = title,
                                   .x_label = "false-positive rate",
                                   .y_label = "true-positive rate",
                                   .unit_square = true,
                                   .curves = {}},
                        CurveChart{.title = title,
                                   .x_label = "recall",
                                   .y_label = "precision",
                                   .unit_square = true,
                                   .curves = {}},
                        CurveChart{.title = title, .x_label = "epoch", .y_label = "loss", .curves = {}}});
      auto& [roc_panel, precision_panel, training_panel] = panels.back();
      for (std::size_t i = first; i < std::min(first + kMostCurves, members.size()); ++i) {
        ScoreCurves curves;
        for (const auto& run : members[i]->runs) {
          const auto pairs = evaluate::read_predictions(run.folder / "predictions.csv");
          add_scores(curves, pairs, [](const evaluate::ScoredPair& pair) { return pair.score; });
          if (runs_seen.insert(run.labels.run).second) {
            const evaluate::DegreeControl control(
                evaluate::read_split_pairs(run.folder / "split.csv").training_positives);
            add_scores(by_degree, pairs,
                       [&](const evaluate::ScoredPair& pair) { return control.score(pair.tf, pair.gene); });
          }
          progress.advance(1);
        }
        if (!curves.roc.empty()) {
          CurveChart::Curve curve{.name = names[i], .series = colours[i], .x = {}, .y = {}};
          curves.roc.fill(curve);
          roc_panel.curves.push_back(curve);
          curve.x.clear();
          curve.y.clear();
          curves.precision.fill(curve);
          precision_panel.curves.push_back(std::move(curve));
        }
        add_training(training_panel, *members[i], names[i], colours[i]);
      }
    }
    for (auto& [roc_panel, precision_panel, training_panel] : panels) {
      if (!by_degree.roc.empty()) {
        CurveChart::Curve degree{.name = "degree-only", .role = CurveChart::Role::degree, .x = {}, .y = {}};
        by_degree.roc.fill(degree);
        roc_panel.curves.push_back(degree);
        roc_panel.curves.push_back(diagonal());
        degree.x.clear();
        degree.y.clear();
        by_degree.precision.fill(degree);
        precision_panel.curves.push_back(std::move(degree));
        const Estimate share{.mean = evaluate::mean(by_degree.shares)};
        precision_panel.curves.push_back(
            {.name = "random", .role = CurveChart::Role::random, .x = {0.0, 1.0}, .y = {share, share}});
        roc.charts.emplace_back(std::move(roc_panel));
        precision.charts.emplace_back(std::move(precision_panel));
      }
      if (!training_panel.curves.empty()) {
        double last = 1.0;
        for (const auto& curve : training_panel.curves) {
          last = std::max(last, curve.x.back());
        }
        const Estimate coin{.mean = std::log(2.0)};
        training_panel.curves.push_back(
            {.name = "a coin", .role = CurveChart::Role::random, .x = {1.0, last}, .y = {coin, coin}});
        training.charts.emplace_back(std::move(training_panel));
      }
    }
  }
  progress.finish();
  return {roc, precision, training};
}

}  // namespace mgrn::experiments
