// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/race.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "multigrnformer/base/json.hpp"

namespace mgrn::experiments {
namespace {

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::set<std::uint64_t> best_points(const std::map<std::uint64_t, double>& means, double keep) {
  std::vector<std::pair<double, std::uint64_t>> order;
  order.reserve(means.size());
  for (const auto& [point, mean] : means) {
    order.emplace_back(std::isnan(mean) ? -std::numeric_limits<double>::infinity() : mean, point);
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  // 0.2 x 15 is a little more than 3 in binary.
  const double wanted = std::ceil(keep * static_cast<double>(order.size()) - 1e-9);
  const auto kept =
      std::min<std::size_t>(order.size(), std::max<std::size_t>(1, static_cast<std::size_t>(wanted)));
  std::set<std::uint64_t> points;
  for (std::size_t i = 0; i < kept; ++i) {
    points.insert(order[i].second);
  }
  return points;
}

Races::Races(const Plan& plan, std::filesystem::path out) : plan_(plan), out_(std::move(out)) {
  for (std::size_t i = 0; i < plan.tasks.size(); ++i) {
    if (const auto& place = plan.tasks[i].race) {
      auto& folds = races_[place->race];
      folds.resize(std::max<std::size_t>(folds.size(), place->fold));
      folds[place->fold - 1][place->point] = i;
    }
  }
}

std::vector<std::size_t> Races::judges(std::size_t task) const {
  const auto& place = plan_.tasks.at(task).race;
  std::vector<std::size_t> tasks;
  if (place && place->fold > 1 && place->keep < 1) {
    for (const auto& [point, judge] : races_.at(place->race).at(place->fold - 2)) {
      tasks.push_back(judge);
    }
  }
  return tasks;
}

double Races::metric_of(std::size_t task) const {
  const auto& planned = plan_.tasks.at(task);
  const base::Json result = base::read_json(task_folder(out_, planned.name) / "result.json");
  const auto value = result.find(planned.race->metric);
  return value == result.end() || !value->is_number() ? std::nan("") : value->get<double>();
}

const std::set<std::uint64_t>& Races::entering(const std::string& race, std::uint64_t fold) {
  const auto known = entering_.find({race, fold});
  if (known != entering_.end()) {
    return known->second;
  }
  const auto& folds = races_.at(race);
  std::set<std::uint64_t> points;
  if (fold == 1) {
    for (const auto& [point, task] : folds.at(0)) {
      points.insert(point);
    }
  } else {
    std::map<std::uint64_t, double> means;
    for (const auto point : entering(race, fold - 1)) {
      std::vector<double> values;
      for (std::uint64_t before = 0; before + 1 < fold; ++before) {
        values.push_back(metric_of(folds[before].at(point)));
      }
      means[point] = mean_of(values);
    }
    points = best_points(means, plan_.tasks[folds.at(0).begin()->second].race->keep);
  }
  return entering_[{race, fold}] = std::move(points);
}

Races::Verdict Races::verdict(std::size_t task,
                              const std::function<std::optional<TaskState>(std::size_t)>& state_of) {
  bool waits = false;
  const auto deciding = judges(task);
  for (const auto judge : deciding) {
    const auto state = state_of(judge);
    if (state && !is_over(*state)) {
      return Verdict::blocked;
    }
    waits = waits || !state;
  }
  if (waits) {
    return Verdict::waits;
  }
  const auto& place = plan_.tasks[task].race;
  return deciding.empty() || entering(place->race, place->fold).contains(place->point) ? Verdict::runs
                                                                                       : Verdict::discarded;
}

double Races::Standing::mean() const {
  return metric.empty() ? std::nan("") : mean_of(metric);
}

std::map<std::string, std::vector<Races::Standing>> Races::standings() const {
  std::map<std::string, std::vector<Standing>> all;
  for (const auto& [race, folds] : races_) {
    std::map<std::uint64_t, Standing> points;
    for (const auto& [point, task] : folds.at(0)) {
      points[point].point = point;
    }
    std::set<std::uint64_t> racing;
    for (const auto& [point, standing] : points) {
      racing.insert(point);
    }
    for (std::uint64_t fold = 1; fold <= folds.size(); ++fold) {
      bool complete = true;
      std::map<std::uint64_t, double> means;
      for (const auto point : racing) {
        const std::size_t task = folds[fold - 1].at(point);
        if (!is_done(task_folder(out_, plan_.tasks[task].name), plan_.tasks[task].digest)) {
          complete = false;
          continue;
        }
        points[point].tasks.push_back(task);
        points[point].metric.push_back(metric_of(task));
        means[point] = points[point].mean();
      }
      if (!complete) {
        break;
      }
      const double keep = plan_.tasks[folds[0].begin()->second].race->keep;
      if (fold < folds.size() && keep < 1) {
        const auto best = best_points(means, keep);
        for (const auto point : racing) {
          if (!best.contains(point)) {
            points[point].discarded_after = fold;
          }
        }
        racing = best;
      }
    }
    for (auto& [point, standing] : points) {
      all[race].push_back(std::move(standing));
    }
  }
  return all;
}

}  // namespace mgrn::experiments
