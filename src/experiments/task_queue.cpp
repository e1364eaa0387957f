// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/task_queue.hpp"

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "multigrnformer/base/error.hpp"

namespace mgrn::experiments {
namespace {

// A run that waits for others looks again soon, then ever more seldom: thousands of looks a second would load
// a file server, and a training is not done in five seconds.
constexpr double kShortestPause = 0.05;
constexpr double kLongestPause = 5;

}  // namespace

std::string make_launch_name() {
  constexpr const char* kDigits = "0123456789abcdef";
  std::random_device random;
  std::string name;
  for (int digit = 0; digit < 16; ++digit) {
    name += kDigits[random() % 16];
  }
  return name;
}

TaskQueue::TaskQueue(const Plan& plan, QueueOptions options)
    : plan_(plan),
      options_(std::move(options)),
      claimant_(this_claimant(options_.launch)),
      races_(plan_, options_.out),
      pause_s_(kShortestPause) {
  std::sort(options_.selection.begin(), options_.selection.end());  // the plan's order: longest way first
}

std::filesystem::path TaskQueue::folder(std::size_t task) const {
  return task_folder(options_.out, plan_.tasks.at(task).name);
}

bool TaskQueue::may_begin(const TaskStatus& status) const {
  switch (status.state) {
    case TaskState::waiting:
    case TaskState::interrupted:
      return true;
    case TaskState::stopped:
    case TaskState::killed:
      return status.launch !=
             options_.launch;  // once per `grid run`, or a task that kills its host never ends
    case TaskState::failed:
      return options_.retry && status.launch != options_.launch;
    case TaskState::running:
    case TaskState::done:
    case TaskState::discarded:
      return false;
  }
  return false;
}

TaskQueue::Next TaskQueue::next() {
  bool others_work = false;
  for (const auto task : options_.selection) {
    if (settled_.contains(task)) {
      continue;
    }
    const auto verdict = races_.verdict(task, [&](std::size_t judge) {
      const auto place = settled_.find(judge);
      return place == settled_.end() ? std::nullopt : std::optional(place->second);
    });
    if (verdict == Races::Verdict::discarded) {
      settled_[task] = TaskState::discarded;
      continue;
    }
    bool ready = verdict == Races::Verdict::runs;
    bool hopeless = verdict == Races::Verdict::blocked;
    for (const auto& need : plan_.tasks[task].needs) {
      const auto place = settled_.find(plan_.index_of(need));
      ready = ready && place != settled_.end() && place->second == TaskState::done;
      hopeless = hopeless || (place != settled_.end() && place->second != TaskState::done);
    }
    if (hopeless) {
      settled_[task] = TaskState::waiting;
      continue;
    }
    const std::string digest = plan_.tasks[task].digest;
    const auto status = read_status(folder(task), digest, options_.evidence);
    if (status.state == TaskState::done) {
      settled_[task] = TaskState::done;
      continue;
    }
    if (status.state != TaskState::running && !may_begin(status)) {
      settled_[task] = status.state;
      continue;
    }
    // What it needs stands before it in the plan and is not done: somebody is at it.
    if (!ready || status.state == TaskState::running ||
        !create_claim(folder(task), status.attempt + 1, claimant_)) {
      others_work = true;
      continue;
    }
    // An owner held for dead may have come to its end in the meantime.
    if (read_status(folder(task), digest, options_.evidence).state == TaskState::done) {
      settled_[task] = TaskState::done;
      continue;
    }
    pause_s_ = kShortestPause;
    return {.step = Step::run, .task = task, .attempt = status.attempt + 1, .pause_s = 0};
  }
  if (!others_work) {
    return {.step = Step::finished, .task = 0, .attempt = 0, .pause_s = 0};
  }
  const double pause = pause_s_;
  pause_s_ = std::min(2 * pause_s_, kLongestPause);
  return {.step = Step::wait, .task = 0, .attempt = 0, .pause_s = pause};
}

void TaskQueue::end(const Next& attempt, const Ending& ending) {
  write_ending(folder(attempt.task), plan_.tasks[attempt.task].digest, attempt.attempt, claimant_, ending);
}

std::vector<GridTask> grid_status(const Plan& plan, const std::filesystem::path& out,
                                  const ClaimEvidence& evidence) {
  std::vector<GridTask> tasks;
  for (std::size_t i = 0; i < plan.tasks.size(); ++i) {
    const auto& planned = plan.tasks[i];
    GridTask task{.task = i, .status = read_status(task_folder(out, planned.name), planned.digest, evidence)};
    for (const auto& need : planned.needs) {
      const auto& needed = tasks[plan.index_of(need)];
      if (is_open(task.status.state) && (needed.blocked || needed.status.state == TaskState::failed)) {
        task.blocked = true;
        task.blocked_by = needed.blocked ? needed.blocked_by : need;
      }
    }
    tasks.push_back(std::move(task));
  }
  Races races(plan, out);
  // A fold is judged by the one before it, which may itself be discarded or blocked only at this look.
  for (bool changed = true; changed;) {
    changed = false;
    for (auto& task : tasks) {
      if (!is_open(task.status.state) || task.blocked) {
        continue;
      }
      const auto verdict = races.verdict(task.task, [&](std::size_t judge) -> std::optional<TaskState> {
        const TaskState state = tasks[judge].blocked ? TaskState::failed : tasks[judge].status.state;
        return state == TaskState::failed || is_over(state) ? std::optional(state) : std::nullopt;
      });
      if (verdict == Races::Verdict::discarded) {
        task.status.state = TaskState::discarded;
        changed = true;
      } else if (verdict == Races::Verdict::blocked) {
        task.blocked = true;
        for (const auto judge : races.judges(task.task)) {
          if (tasks[judge].blocked || tasks[judge].status.state == TaskState::failed) {
            task.blocked_by = tasks[judge].blocked ? tasks[judge].blocked_by : plan.tasks[judge].name;
          }
        }
        changed = true;
      }
    }
  }
  return tasks;
}

}  // namespace mgrn::experiments
