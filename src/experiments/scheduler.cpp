// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/scheduler.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <thread>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/base/stop_signal.hpp"
#include "multigrnformer/comm/agree.hpp"

namespace mgrn::experiments {
namespace {

using Clock = std::chrono::steady_clock;

/// What this rank has seen of a task.
Ending attempt(const PlannedTask& task, const Execute& execute, comm::Communicator& group) {
  const auto failure = [](base::ErrorText text) { return ending_of(base::InternalError(std::move(text))); };
  try {
    execute(task, group);
    return {.state = TaskState::done};
  } catch (const base::Error& error) {
    return ending_of(error);
  } catch (const std::bad_alloc&) {
    return failure(
        {.what = "out of memory", .hint = "give each rank more memory, or use fewer ranks per node"});
  } catch (const std::exception& error) {
    return failure({.what = error.what(), .hint = "this is a defect: please report it with the plan"});
  }
}

/// Collective. How the task ended: as on the lowest rank on which it did not end well.
Ending agreed(const Ending& mine, comm::Communicator& group) {
  const std::string text = base::json_line({{"state", static_cast<int>(mine.state)},
                                            {"code", mine.code},
                                            {"error", mine.error},
                                            {"hint", mine.hint}});
  Ending all{.state = TaskState::done};
  for (const auto& bytes : group.all_gather(std::as_bytes(std::span(text)))) {
    const auto letters = comm::from_bytes<char>(bytes);
    const base::Json json = base::Json::parse(letters.begin(), letters.end());
    const int code = json.at("code").get<int>();
    const bool communication = code == static_cast<int>(base::ExitCode::communication);
    if (code != 0 && (all.code == 0 || communication)) {
      all = {.state = static_cast<TaskState>(json.at("state").get<int>()),
             .code = code,
             .error = json.at("error").get<std::string>(),
             .hint = json.at("hint").get<std::string>()};
    }
  }
  return all;
}

std::string seconds_text(double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", seconds);
  return text.data();
}

void say(const PlannedTask& task, const Ending& ending) {
  const std::string line =
      task.name + ": " + state_name(ending.state) + " after " + seconds_text(ending.seconds);
  if (ending.state == TaskState::failed) {
    base::warn(line + ": " + ending.error);
  } else {
    base::info(line);
  }
}

/// Collective over the group. Whether anybody in it was asked to stop.
bool stop_asked(comm::Communicator& group) {
  std::array<std::int64_t, 1> stop = {base::stop_signal() != 0 ? 1 : 0};
  group.all_reduce(std::span<std::int64_t>(stop), comm::Reduction::maximum);
  return stop[0] != 0;
}

/// One group of ranks, from its first task to its last.
class Group {
 public:
  Group(const Plan& plan, QueueOptions options, const Execute& execute, comm::Communicator& ranks)
      : plan_(plan), execute_(execute), ranks_(ranks) {
    comm::agree(ranks_, [&] {
      if (leads()) {
        queue_.emplace(plan_, std::move(options));
      }
    });
  }

  /// Collective. True when it ended on a stop signal.
  bool work() {
    while (!stop_asked(ranks_)) {
      const TaskQueue::Next next = agreed_next();
      if (next.step == TaskQueue::Step::finished) {
        return false;
      }
      if (next.step == TaskQueue::Step::wait) {
        std::this_thread::sleep_for(std::chrono::duration<double>(next.pause_s));
      } else if (run(next)) {
        return true;
      }
    }
    return true;
  }

 private:
  bool leads() const { return ranks_.rank() == 0; }

  TaskQueue::Next agreed_next() {
    std::array<TaskQueue::Next, 1> next;
    comm::agree(ranks_, [&] {
      if (leads()) {
        next[0] = queue_->next();
      }
    });
    ranks_.broadcast(std::as_writable_bytes(std::span(next)), 0);
    return next[0];
  }

  /// True when it ended on a stop signal.
  bool run(const TaskQueue::Next& next) {
    const PlannedTask& task = plan_.tasks.at(next.task);
    base::info(task.name + ": begins" +
               (next.attempt > 1 ? ", attempt " + std::to_string(next.attempt) : ""));
    std::optional<Heartbeat> heartbeat;
    if (leads()) {
      heartbeat.emplace(queue_->folder(next.task), next.attempt);
    }
    const auto start = Clock::now();
    Ending ending;
    {
      // A communicator of the task's own: collectives that an error has left open do not meet the group's.
      const auto own = ranks_.split(0);
      ending = agreed(attempt(task, execute_, *own), ranks_);
    }
    ending.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (ending.code == static_cast<int>(base::ExitCode::communication)) {
      throw base::CommunicationError({.what = "task " + task.name + " lost its ranks: " + ending.error,
                                      .hint = "start `grid run` again: it goes on with the tasks that ran"});
    }
    const bool owns = leads() && !heartbeat->lost();
    comm::agree(ranks_, [&] {
      if (owns) {
        queue_->end(next, ending);
        say(task, ending);
      }
    });
    return ending.state == TaskState::stopped;
  }

  const Plan& plan_;
  const Execute& execute_;
  comm::Communicator& ranks_;
  std::optional<TaskQueue> queue_;  // on the group's first rank
};

}  // namespace

int group_of(int rank, int ranks, int ranks_per_task) {
  const int groups = std::max(1, ranks / ranks_per_task);
  return std::min(rank / ranks_per_task, groups - 1);
}

bool run_on_groups(const Plan& plan, QueueOptions options, int ranks_per_task, const Execute& execute,
                   comm::Communicator& world) {
  comm::agree(world, [&] {
    if (ranks_per_task < 1 || ranks_per_task > world.size()) {
      throw base::UsageError(
          {.what = "a task cannot have that many ranks",
           .file = "ranks-per-task",
           .expected = "1 to " + std::to_string(world.size()) + ", the ranks there are",
           .got = std::to_string(ranks_per_task),
           .hint = "start with more ranks (mpirun -n K, srun -n K), or lower --ranks-per-task"});
    }
  });
  options.launch = comm::broadcast_text(world, std::move(options.launch));
  const auto ranks = world.split(group_of(world.rank(), world.size(), ranks_per_task));
  const bool stopped = Group(plan, std::move(options), execute, *ranks).work();
  // Nobody comes here long before the others: a group without work waits, asleep, until the tasks of the
  // other groups have ended, and a stop signal reaches all.
  std::array<std::int64_t, 1> any = {stopped ? 1 : 0};
  world.all_reduce(std::span<std::int64_t>(any), comm::Reduction::maximum);
  return any[0] != 0;
}

}  // namespace mgrn::experiments
