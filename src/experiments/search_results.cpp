// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/search_results.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/evaluate/report.hpp"
#include "multigrnformer/experiments/race.hpp"
#include "multigrnformer/formats/table.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;

// Mean and SD over folds; controls behind what they belong to.
constexpr const char* kMetrics[] = {
    "auroc",          "degree_auroc", "average_precision", "random_auprc", "degree_average_precision",
    "within_tf_auroc"};

struct Search {
  RacePlace place;  ///< of its first task
  std::uint64_t folds = 0;
  std::vector<Races::Standing> points;
  std::map<std::uint64_t, const PlannedTask*> first_fold;  ///< of each point
  std::optional<std::uint64_t> best;                       ///< point; nothing while it is not complete
};

std::vector<Search> searches_of(const Plan& plan, const fs::path& out) {
  std::map<std::string, Search> by_race;
  for (const auto& task : plan.tasks) {
    if (task.race) {
      Search& search = by_race[task.race->race];
      search.folds = std::max(search.folds, task.race->fold);
      if (task.race->fold == 1) {
        search.first_fold[task.race->point] = &task;
        if (task.race->point == 1) {
          search.place = *task.race;
        }
      }
    }
  }
  if (by_race.empty()) {
    return {};
  }
  for (auto& [race, standings] : Races(plan, out).standings()) {
    Search& search = by_race.at(race);
    search.points = std::move(standings);
    std::map<std::uint64_t, double> means;
    bool complete = true;
    for (const auto& point : search.points) {
      if (point.discarded_after == 0) {
        complete = complete && point.tasks.size() == search.folds;
        means[point.point] = point.mean();
      }
    }
    if (complete) {
      search.best = *best_points(means, 0).begin();
    }
  }
  std::vector<Search> searches;
  searches.reserve(by_race.size());
  for (auto& [race, search] : by_race) {
    searches.push_back(std::move(search));
  }
  return searches;
}

std::string state_of(const Search& search, const Races::Standing& point) {
  if (search.best == point.point) {
    return "best";
  }
  return point.discarded_after > 0            ? "discarded"
         : point.tasks.size() == search.folds ? "finished"
                                              : "unfinished";
}

base::Json summary_of(const Plan& plan, const fs::path& out, const Races::Standing& point) {
  std::vector<base::Json> results;
  for (const auto task : point.tasks) {
    results.push_back(base::read_json(task_folder(out, plan.tasks[task].name) / "result.json"));
  }
  return results.empty() ? base::Json::object() : evaluate::summary(results);
}

void add_number(formats::TableWriter& table, const base::Json& summary, const char* key, const char* part) {
  const auto place = summary.find(key);
  if (place == summary.end() || !place->is_object() || !place->at(part).is_number()) {
    table.add("");
  } else {
    table.add(place->at(part).get<double>());
  }
}

/// The key's value as a file in `folder` says it.
std::string in_config(const std::string& value) {
  std::string text = value;
  // The config lies in DIR/search, so the grid's folder is the one above.
  for (auto at = text.find(kGridFolder); at != std::string::npos; at = text.find(kGridFolder, at)) {
    text.replace(at, kGridFolder.size(), "..");
  }
  return text;
}

std::string config_of(const Search& search, const Races::Standing& best) {
  char score[64];
  std::snprintf(score, sizeof score, "%.4f", best.mean());
  std::string text = "# The best of " + std::to_string(search.points.size()) +
                     " points by cross-validation on training pairs: point " + std::to_string(best.point) +
                     ", mean " + search.place.metric + " " + score + " over " +
                     std::to_string(best.tasks.size()) + " folds.\n";
  std::map<std::string, std::map<std::string, std::string>> sections;
  for (const auto& [key, value] : search.first_fold.at(best.point)->keys) {
    const auto dot = key.find('.');
    if (dot != std::string::npos && key != "pairs.fold") {
      sections[key.substr(0, dot)][key.substr(dot + 1)] = in_config(value);
    }
  }
  for (const auto& [section, keys] : sections) {
    text += "\n[" + section + "]\n";
    for (const auto& [key, value] : keys) {
      text += key + " = " + value + "\n";
    }
  }
  return text;
}

const Races::Standing& point_of(const Search& search, std::uint64_t number) {
  return *std::find_if(search.points.begin(), search.points.end(),
                       [&](const Races::Standing& point) { return point.point == number; });
}

fs::path config_file(const fs::path& out, const Search& search) {
  return out / "search" /
         (search.place.setting + (search.place.omics == "rna" ? ".rna" : "") + ".run-" +
          std::to_string(search.place.run) + ".ini");
}

}  // namespace

std::string search_table(const Plan& plan, const fs::path& out) {
  const auto searches = searches_of(plan, out);
  if (searches.empty()) {
    return {};
  }
  std::set<std::string> keys;
  for (const auto& search : searches) {
    for (const auto& [point, task] : search.first_fold) {
      for (const auto& [key, value] : task->race->varied) {
        keys.insert(key);
      }
    }
  }
  formats::TableWriter table;
  for (const char* name : {"setting", "omics", "run", "point", "folds", "state"}) {
    table.add(name);
  }
  for (const char* metric : kMetrics) {
    table.add(metric).add(std::string(metric) + "_sd");
  }
  for (const auto& key : keys) {
    table.add(key);
  }
  table.end_row();
  for (const auto& search : searches) {
    for (const auto& point : search.points) {
      table.add(search.place.setting)
          .add(search.place.omics)
          .add(search.place.run)
          .add(point.point)
          .add(static_cast<std::uint64_t>(point.tasks.size()))
          .add(state_of(search, point));
      const base::Json summary = summary_of(plan, out, point);
      for (const char* metric : kMetrics) {
        add_number(table, summary, metric, "mean");
        add_number(table, summary, metric, "sd");
      }
      const Keys& varied = search.first_fold.at(point.point)->race->varied;
      for (const auto& key : keys) {
        const auto value = varied.find(key);
        table.add(value == varied.end() ? std::string() : value->second);
      }
      table.end_row();
    }
  }
  return table.text();
}

void write_search(const Plan& plan, const fs::path& out) {
  const std::string table = search_table(plan, out);
  if (table.empty()) {
    return;
  }
  base::write_file_atomically(out / "search.csv", table);
  base::create_directories(out / "search");
  for (const auto& search : searches_of(plan, out)) {
    if (search.best) {
      base::write_file_atomically(config_file(out, search),
                                  config_of(search, point_of(search, *search.best)));
    }
  }
}

std::string search_summary(const Plan& plan, const fs::path& out) {
  std::string text;
  for (const auto& search : searches_of(plan, out)) {
    std::size_t discarded = 0;
    for (const auto& point : search.points) {
      discarded += point.discarded_after > 0 ? 1 : 0;
    }
    text += "search " + search.place.race + ": " + std::to_string(search.points.size()) + " points, " +
            std::to_string(discarded) + " discarded";
    if (!search.best) {
      text += ", not complete\n";
      continue;
    }
    const auto& best = point_of(search, *search.best);
    char score[64];
    std::snprintf(score, sizeof score, "%.4f", best.mean());
    text += "; best";
    for (const auto& [key, value] : search.first_fold.at(best.point)->race->varied) {
      text += " " + key + "=" + value;
    }
    text += ", mean " + search.place.metric + " " + score + " over " + std::to_string(best.tasks.size()) +
            " folds: " + config_file(out, search).string() + "\n";
  }
  return text;
}

}  // namespace mgrn::experiments
