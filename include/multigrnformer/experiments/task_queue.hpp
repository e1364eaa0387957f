// SPDX-License-Identifier: Apache-2.0
// Which task comes next. The queue is the folder itself: whoever wins a claim runs the task, so that any
// number of groups, jobs and hosts share one grid, tasks are handed out as groups become free, and nothing
// needs to make progress in the background. (A one-sided counter or a coordinating rank would serve the
// groups of one MPI job only, and the claims would still be needed beside it.) Not collective: the first rank
// of each group has one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "multigrnformer/experiments/plan.hpp"
#include "multigrnformer/experiments/race.hpp"
#include "multigrnformer/experiments/task_state.hpp"

namespace mgrn::experiments {

struct QueueOptions {
  std::filesystem::path out;
  std::vector<std::size_t> selection;  ///< places in the plan, with all that they need
  bool retry = false;                  ///< take failed tasks up again, once
  std::string launch;                  ///< names this `grid run`
  ClaimEvidence evidence;
};

/// A new name for QueueOptions::launch.
std::string make_launch_name();

class TaskQueue {
 public:
  TaskQueue(const Plan& plan, QueueOptions options);

  enum class Step {
    run,       ///< `task` is claimed and must be run
    wait,      ///< others work on what this needs: look again after `pause_s`
    finished,  ///< nothing is left that could be run
  };
  struct Next {
    Step step = Step::finished;
    std::size_t task = 0;
    int attempt = 0;
    double pause_s = 0;
  };
  /// Throws OutputError, DataError.
  Next next();
  /// Writes down how an attempt that next() handed out has ended.
  void end(const Next& attempt, const Ending& ending);

  const Claimant& claimant() const { return claimant_; }
  std::filesystem::path folder(std::size_t task) const;

 private:
  bool may_begin(const TaskStatus& status) const;

  const Plan& plan_;
  QueueOptions options_;
  Claimant claimant_;
  Races races_;
  std::map<std::size_t, TaskState> settled_;  ///< no longer looked at: done, or not to be run by this launch
  double pause_s_;
};

/// One task as it stands, for `grid status` and the end of a run.
struct GridTask {
  std::size_t task = 0;
  TaskStatus status;
  bool blocked = false;      ///< needs a task that failed
  std::string blocked_by{};  ///< that task
};
std::vector<GridTask> grid_status(const Plan& plan, const std::filesystem::path& out,
                                  const ClaimEvidence& evidence);

}  // namespace mgrn::experiments
