// SPDX-License-Identifier: Apache-2.0
// Groups of ranks, as threads of one process.
#include "multigrnformer/experiments/scheduler.hpp"

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>

#include "experiments/small_plans.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/stop_signal.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::experiments {
namespace {

using mgrn::test::TemporaryDirectory;
using test::many_tasks;
using test::options_for;
using test::small_plan;
using test::state_of;

/// What each task saw, over all ranks.
class Witness {
 public:
  void saw(const PlannedTask& task, const comm::Communicator& group) {
    const std::lock_guard lock(mutex_);
    ++calls_[task.name];
    sizes_[task.name] = group.size();
  }
  int calls(const std::string& name) { return calls_[name]; }
  int size(const std::string& name) { return sizes_[name]; }

 private:
  std::mutex mutex_;
  std::map<std::string, int> calls_;
  std::map<std::string, int> sizes_;
};

TEST(Groups, AreConsecutiveRanksAndTheLastTakesTheRest) {
  const auto groups = [](int ranks, int per_task) {
    std::vector<int> all;
    for (int rank = 0; rank < ranks; ++rank) {
      all.push_back(group_of(rank, ranks, per_task));
    }
    return all;
  };
  EXPECT_EQ(groups(4, 1), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(groups(4, 2), (std::vector<int>{0, 0, 1, 1}));
  EXPECT_EQ(groups(5, 2), (std::vector<int>{0, 0, 1, 1, 1}));
  EXPECT_EQ(groups(3, 2), (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(groups(1, 1), (std::vector<int>{0}));
}

class RunOnGroups : public testing::TestWithParam<std::pair<int, int>> {};

TEST_P(RunOnGroups, EachTaskIsRunOnceByAllRanksOfOneGroup) {
  const auto [ranks, per_task] = GetParam();
  const TemporaryDirectory folder;
  const Plan plan = many_tasks(17);
  Witness witness;
  comm::run_ranks(ranks, [&, per_task = per_task](comm::Communicator& world) {
    const bool stopped = run_on_groups(
        plan, options_for(plan, folder.path()), per_task,
        [&](const PlannedTask& task, comm::Communicator& group) {
          witness.saw(task, group);
          std::array<std::int64_t, 1> count = {1};
          group.all_reduce(std::span<std::int64_t>(count), comm::Reduction::sum);
          EXPECT_EQ(count[0], group.size());
        },
        world);
    EXPECT_FALSE(stopped);
  });
  for (const auto& task : plan.tasks) {
    EXPECT_EQ(witness.calls(task.name), witness.size(task.name)) << task.name;
    EXPECT_GE(witness.size(task.name), per_task);
    EXPECT_EQ(state_of(plan, folder.path(), task.name), TaskState::done);
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, RunOnGroups,
                         testing::Values(std::pair(1, 1), std::pair(2, 1), std::pair(3, 1), std::pair(4, 1),
                                         std::pair(2, 2), std::pair(3, 2), std::pair(4, 2), std::pair(5, 2)));

TEST(RunOnGroups, AnErrorOnOneRankOrOnAllHarmsNoOtherTask) {
  const TemporaryDirectory folder;
  const Plan plan = small_plan({{"all", {}}, {"one", {}}, {"unknown", {}}, {"after", {"all"}}, {"good", {}}});
  comm::run_ranks(4, [&](comm::Communicator& world) {
    run_on_groups(
        plan, options_for(plan, folder.path()), 2,
        [&](const PlannedTask& task, comm::Communicator& group) {
          if (task.name == "all" || (task.name == "one" && group.rank() == 1)) {
            throw base::DataError({.what = "cannot open file", .file = "tfs.cvs", .hint = "check the path"});
          }
          if (task.name == "unknown") {
            throw std::runtime_error("something else");
          }
        },
        world);
  });
  const auto status = grid_status(plan, folder.path(), system_evidence());
  for (const char* name : {"all", "one"}) {
    const auto& failed = status[plan.index_of(name)].status;
    EXPECT_EQ(failed.state, TaskState::failed);
    EXPECT_EQ(failed.ending.code, 65);
    EXPECT_EQ(failed.ending.error, "cannot open file (file tfs.cvs)");
    EXPECT_EQ(failed.ending.hint, "check the path");
  }
  EXPECT_EQ(status[2].status.ending.code, 70);
  EXPECT_TRUE(status[3].blocked);
  EXPECT_EQ(status[4].status.state, TaskState::done);
}

TEST(RunOnGroups, LostRanksAreNoFaultOfTheTaskAndEndTheJob) {
  const TemporaryDirectory folder;
  const Plan plan = many_tasks(1);
  EXPECT_THROW(comm::run_ranks(2,
                               [&](comm::Communicator& world) {
                                 run_on_groups(
                                     plan, options_for(plan, folder.path()), 2,
                                     [](const PlannedTask&, comm::Communicator&) {
                                       throw base::CommunicationError({.what = "rank 1 is gone"});
                                     },
                                     world);
                               }),
               base::CommunicationError);
  // This process still lives, so its claim does; once it has ended, the task is taken up.
  test::FakeWorld later;
  later.process_gone = true;
  EXPECT_EQ(read_status(task_folder(folder.path(), "task-0"), plan.tasks[0].digest, later.evidence()).state,
            TaskState::interrupted);
}

TEST(RunOnGroups, AStopSignalEndsAllGroupsAndTheNextRunGoesOn) {
  const TemporaryDirectory folder;
  const Plan plan = many_tasks(12);
  base::clear_stop_signal();
  std::atomic<int> done = 0;
  comm::run_ranks(2, [&](comm::Communicator& world) {
    EXPECT_TRUE(run_on_groups(
        plan, options_for(plan, folder.path()), 1,
        [&](const PlannedTask& task, comm::Communicator&) {
          if (task.name == "task-3") {
            base::request_stop();
          }
          if (base::stop_signal() != 0) {
            throw base::Stopped({.what = "stopped on a signal"});
          }
          ++done;
        },
        world));
  });
  base::clear_stop_signal();
  EXPECT_LT(done, 12);
  EXPECT_EQ(state_of(plan, folder.path(), "task-3"), TaskState::stopped);
  comm::run_ranks(2, [&](comm::Communicator& world) {
    EXPECT_FALSE(run_on_groups(
        plan, options_for(plan, folder.path()), 1, [&](const PlannedTask&, comm::Communicator&) { ++done; },
        world));
  });
  EXPECT_EQ(done, 12) << "each task once";
}

TEST(RunOnGroups, MoreRanksPerTaskThanThereAreIsRefused) {
  const TemporaryDirectory folder;
  const Plan plan = many_tasks(1);
  for (const int per_task : {0, 3}) {
    EXPECT_THROW(comm::run_ranks(2,
                                 [&](comm::Communicator& world) {
                                   run_on_groups(
                                       plan, options_for(plan, folder.path()), per_task,
                                       [](const PlannedTask&, comm::Communicator&) {}, world);
                                 }),
                 base::UsageError);
  }
}

}  // namespace
}  // namespace mgrn::experiments
