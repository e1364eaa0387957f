// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/run_groups.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/evaluate/predictions_file.hpp"
#include "multigrnformer/experiments/task_state.hpp"
#include "multigrnformer/train/resolved_config.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;

std::string value_of(const Keys& config, const std::string& key) {
  const auto place = config.find(key);
  return place == config.end() ? std::string() : place->second;
}

double test_to_train(const fs::path& file) {
  const auto split = evaluate::read_split_pairs(file);
  const auto positives = std::count_if(split.test.begin(), split.test.end(),
                                       [](const evaluate::ScoredPair& pair) { return pair.label == 1; });
  if (positives == 0 || split.training_positives.empty()) {
    throw base::DataError(
        {.what = "a split without positives on both sides",
         .file = file.string(),
         .expected = "positive pairs in training and in test",
         .got = std::to_string(split.training_positives.size()) + " and " + std::to_string(positives),
         .hint = "remove that task's folder and start `grid run` again"});
  }
  return static_cast<double>(positives) / static_cast<double>(split.training_positives.size());
}

}  // namespace

std::optional<double> FinishedRun::metric(std::string_view name) const {
  const auto place = result.find(name);
  if (place == result.end() || !place->is_number() || !std::isfinite(place->get<double>())) {
    return std::nullopt;
  }
  return place->get<double>();
}

std::vector<FinishedRun> finished_runs(const Plan& plan, const fs::path& out) {
  std::vector<FinishedRun> runs;
  for (const auto& task : plan.tasks) {
    const fs::path folder = task_folder(out, task.name);
    if (task.result && is_done(folder, task.digest)) {
      runs.push_back({.labels = *task.result,
                      .folder = folder,
                      .config = train::config_values(base::read_file(folder / "config.ini")),
                      .result = base::read_json(folder / "result.json")});
    }
  }
  std::sort(runs.begin(), runs.end(),
            [](const FinishedRun& a, const FinishedRun& b) { return a.labels.row < b.labels.row; });
  return runs;
}

Protocol protocol_of(const FinishedRun& run) {
  const bool pretrained = !value_of(run.config, "train.init").empty();
  return {.negatives = value_of(run.config, "pairs.negatives"),
          .split = value_of(run.config, "pairs.split"),
          .leak = pretrained ? value_of(run.config, "cross.leak") : std::string()};
}

std::vector<double> RunGroup::values(std::string_view metric) const {
  std::vector<double> found;
  for (const auto& run : runs) {
    if (const auto value = run.metric(metric)) {
      found.push_back(*value);
    }
  }
  return found;
}

double RunGroup::mean(std::string_view metric) const {
  return evaluate::mean(values(metric));
}

std::vector<RunGroup> group_runs(std::vector<FinishedRun> runs) {
  std::vector<RunGroup> groups;
  for (auto& run : runs) {
    const auto& labels = run.labels;
    auto group = std::find_if(groups.begin(), groups.end(), [&](const RunGroup& other) {
      return other.setting == labels.setting && other.method == labels.method &&
             other.strategy == labels.strategy && other.omics == labels.omics;
    });
    if (group == groups.end()) {
      group = groups.insert(groups.end(), {.setting = labels.setting,
                                           .method = labels.method,
                                           .strategy = labels.strategy,
                                           .omics = labels.omics,
                                           .protocol = protocol_of(run),
                                           .runs = {}});
    }
    group->runs.push_back(std::move(run));
  }
  return groups;
}

double TestShares::of(const RunGroup& group) {
  const auto [place, is_new] = by_setting_.try_emplace(group.setting, 0.0);
  if (is_new) {
    place->second = test_to_train(group.runs.front().folder / "split.csv");
  }
  return place->second;
}

}  // namespace mgrn::experiments
