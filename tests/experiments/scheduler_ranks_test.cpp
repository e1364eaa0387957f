// SPDX-License-Identifier: Apache-2.0
// Real trainings on groups of MPI ranks: whatever the groups, each task leaves the bytes of a run alone.
#include <gtest/gtest.h>

#include <memory>

#include "experiments/small_plans.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/experiments/scheduler.hpp"
#include "multigrnformer/train/run.hpp"
#include "support/mpi_world.hpp"
#include "support/temporary_directory.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;
using mgrn::test::TemporaryDirectory;
using mgrn::test::world;

train::Settings settings_for(const PlannedTask& task, const fs::path& inputs, const fs::path& out) {
  auto settings = train::test::tiny_settings(inputs, out);
  const auto seed = static_cast<std::uint64_t>(task.name.back() - '0');
  settings.split.seed = settings.seed = seed;
  settings.config_text = "[pairs]\nseed = " + std::to_string(seed) + "\n";
  if (task.name == "task-2") {
    settings.tf_lists = {inputs / "tfs.cvs"};
  }
  return settings;
}

TEST(RanksOfOneJob, ShareTheTasksInGroupsAndLeaveTheBytesOfARunAlone) {
  std::unique_ptr<TemporaryDirectory> made;
  std::string name;
  comm::agree(world(), [&] {
    if (world().rank() == 0) {
      made = std::make_unique<TemporaryDirectory>();
      name = made->path().string();
      train::test::write_tiny_inputs(made->path());
    }
  });
  const fs::path folder = comm::broadcast_text(world(), name);
  const Plan plan = test::many_tasks(5);
  for (int per_task = 1; per_task <= std::min(2, world().size()); ++per_task) {
    const fs::path out = folder / ("grid-" + std::to_string(per_task));
    const bool stopped = run_on_groups(
        plan, test::options_for(plan, out), per_task,
        [&](const PlannedTask& task, comm::Communicator& group) {
          train::run_training(settings_for(task, folder, task_folder(out, task.name)), group);
        },
        world());
    EXPECT_FALSE(stopped);
    if (world().rank() != 0) {
      continue;
    }
    for (const auto& task : plan.tasks) {
      const auto status = read_status(task_folder(out, task.name), task.digest, system_evidence());
      if (task.name == "task-2") {  // its TF list is misspelt
        EXPECT_EQ(status.state, TaskState::failed);
        EXPECT_EQ(status.ending.code, 65);
        EXPECT_NE(status.ending.error.find("tfs.cvs"), std::string::npos) << status.ending.error;
        continue;
      }
      EXPECT_EQ(status.state, TaskState::done) << status.ending.error;
      const fs::path alone = folder / ("alone-" + std::to_string(per_task)) / task.name;
      train::run_training(settings_for(task, folder, alone), *comm::make_self_communicator());
      EXPECT_EQ(train::test::promised_bytes(task_folder(out, task.name)), train::test::promised_bytes(alone));
    }
  }
  world().barrier();
}

}  // namespace
}  // namespace mgrn::experiments
