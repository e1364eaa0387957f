// SPDX-License-Identifier: Apache-2.0
// Runs a grid's tasks: inside one MPI job on groups of its ranks, or each as a process of its own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/experiments/plan.hpp"
#include "multigrnformer/experiments/task_queue.hpp"

namespace mgrn::experiments {

/// Collective over the ranks of a group. Does the task; throws base::Error.
using Execute = std::function<void(const PlannedTask& task, comm::Communicator& group)>;

/// Group of a world rank when `ranks` ranks form groups of `ranks_per_task`; the last group takes the rest.
int group_of(int rank, int ranks, int ranks_per_task);

/// Collective over `world`, whose ranks form groups of `ranks_per_task` (the last one takes the rest). Each
/// group takes tasks until nothing is left to run; a task that ends in an error is written down and harms no
/// other. Returns whether a signal asked for a stop, the same on every rank. `options.launch` is rank 0's.
/// Throws CommunicationError when a group's communication broke: its task is then taken up by the next run.
bool run_on_groups(const Plan& plan, QueueOptions options, int ranks_per_task, const Execute& execute,
                   comm::Communicator& world);

struct IsolateOptions {
  std::string program;                ///< the executable
  std::vector<std::string> launcher;  ///< words before it, such as mpirun -n 2; empty: none
  int at_once = 1;                    ///< processes side by side
};

/// Each task as a process, its output in tasks/NAME/task.log. A process that is killed is written down as
/// such and harms no other. A stop signal is passed on to all. Returns whether there was one. One rank only,
/// which no launcher has started. Throws OutputError when a process cannot be started.
bool run_isolated(const Plan& plan, QueueOptions options, const IsolateOptions& isolate);

}  // namespace mgrn::experiments
