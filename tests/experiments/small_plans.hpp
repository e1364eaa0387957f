// SPDX-License-Identifier: Apache-2.0
// Plans and evidence for tests of the scheduler: tasks without keys, a clock and a cluster that the test
// sets.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "multigrnformer/experiments/plan.hpp"
#include "multigrnformer/experiments/task_queue.hpp"

namespace mgrn::experiments::test {

/// Tasks by name with what each needs, longest way first.
inline Plan small_plan(const std::vector<std::pair<std::string, std::vector<std::string>>>& tasks) {
  Plan plan;
  for (const auto& [name, needs] : tasks) {
    plan.tasks.push_back(
        {.name = name, .command = "train", .keys = {}, .needs = needs, .digest = "0123", .result = {}});
  }
  return plan;
}

inline Plan many_tasks(int count) {
  std::vector<std::pair<std::string, std::vector<std::string>>> tasks;
  for (int i = 0; i < count; ++i) {
    tasks.push_back({"task-" + std::to_string(i), {}});
  }
  return small_plan(tasks);
}

inline QueueOptions options_for(const Plan& plan, const std::filesystem::path& out,
                                const std::string& launch = make_launch_name()) {
  QueueOptions options{
      .out = out, .selection = {}, .retry = false, .launch = launch, .evidence = system_evidence()};
  for (std::size_t i = 0; i < plan.tasks.size(); ++i) {
    options.selection.push_back(i);
  }
  return options;
}

/// Evidence of a world in which nothing is known but what the test says.
struct FakeWorld {
  double heartbeat_age = 0;
  bool process_gone = false;
  bool slurm_job_gone = false;
  int slurm_asked = 0;

  ClaimEvidence evidence() {
    return {.heartbeat_age = [this](const std::filesystem::path&) { return heartbeat_age; },
            .process_gone = [this](const Claimant&) { return process_gone; },
            .slurm_job_gone =
                [this](const Claimant&) {
                  ++slurm_asked;
                  return slurm_job_gone;
                }};
  }
};

inline TaskState state_of(const Plan& plan, const std::filesystem::path& out, const std::string& name) {
  return read_status(task_folder(out, name), plan.tasks[plan.index_of(name)].digest, system_evidence()).state;
}

}  // namespace mgrn::experiments::test
