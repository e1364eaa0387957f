// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/task_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "experiments/small_plans.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;
using mgrn::test::TemporaryDirectory;
using test::FakeWorld;
using test::many_tasks;
using test::options_for;
using test::small_plan;
using test::state_of;
using Step = TaskQueue::Step;

const Ending kDone{.state = TaskState::done};
const Ending kFailed{.state = TaskState::failed, .code = 65, .error = "no such file", .hint = "mend it"};

/// Takes tasks until nothing is left; the names in order. `ending` says how each ends.
std::vector<std::string> drain(const Plan& plan, QueueOptions options,
                               const std::function<Ending(const std::string&)>& ending) {
  TaskQueue queue(plan, std::move(options));
  std::vector<std::string> names;
  for (;;) {
    const auto next = queue.next();
    if (next.step != Step::run) {
      EXPECT_EQ(next.step, Step::finished);
      return names;
    }
    names.push_back(plan.tasks[next.task].name);
    queue.end(next, ending(names.back()));
  }
}

TEST(TaskQueue, HandsOutTasksInThePlansOrderAndThenEnds) {
  const TemporaryDirectory folder;
  const Plan plan = many_tasks(3);
  EXPECT_EQ(drain(plan, options_for(plan, folder.path()), [](auto&) { return kDone; }),
            (std::vector<std::string>{"task-0", "task-1", "task-2"}));
  EXPECT_TRUE(drain(plan, options_for(plan, folder.path()), [](auto&) { return kDone; }).empty())
      << "what is done is not repeated";
}

// Each scheduler has its own claims; they meet in the folder alone.
TEST(TaskQueue, SchedulersRacingOnOneFolderNeverRunATaskTwice) {
  const TemporaryDirectory folder;
  const Plan plan = many_tasks(60);
  std::mutex mutex;
  std::map<std::string, int> runs;
  std::atomic<bool> start = false;
  std::vector<std::thread> schedulers;
  for (int i = 0; i < 4; ++i) {
    schedulers.emplace_back([&] {
      TaskQueue queue(plan, options_for(plan, folder.path()));
      while (!start) {
      }
      for (;;) {
        const auto next = queue.next();
        if (next.step == Step::finished) {
          return;
        }
        if (next.step == Step::wait) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
          continue;
        }
        {
          const std::lock_guard lock(mutex);
          ++runs[plan.tasks[next.task].name];
        }
        queue.end(next, kDone);
      }
    });
  }
  start = true;
  for (auto& scheduler : schedulers) {
    scheduler.join();
  }
  EXPECT_EQ(runs.size(), plan.tasks.size());
  for (const auto& [name, count] : runs) {
    EXPECT_EQ(count, 1) << name;
  }
}

TEST(TaskQueue, AFailedTaskHarmsOnlyThoseThatNeedIt) {
  const TemporaryDirectory folder;
  const Plan plan =
      small_plan({{"pretrain", {}}, {"finetune", {"pretrain"}}, {"after", {"finetune"}}, {"train", {}}});
  EXPECT_EQ(drain(plan, options_for(plan, folder.path()),
                  [](const std::string& name) { return name == "pretrain" ? kFailed : kDone; }),
            (std::vector<std::string>{"pretrain", "train"}));
  const auto status = grid_status(plan, folder.path(), system_evidence());
  EXPECT_EQ(status[0].status.state, TaskState::failed);
  EXPECT_EQ(status[0].status.ending.code, 65);
  EXPECT_EQ(status[0].status.ending.error, "no such file");
  EXPECT_EQ(status[0].status.ending.hint, "mend it");
  EXPECT_TRUE(status[1].blocked);
  EXPECT_TRUE(status[2].blocked);
  EXPECT_EQ(status[2].blocked_by, "pretrain");
  EXPECT_FALSE(status[3].blocked);
}

TEST(TaskQueue, FailedTasksAreTakenUpAgainOnceAndOnlyWhenAskedFor) {
  const TemporaryDirectory folder;
  const Plan plan = small_plan({{"a", {}}, {"b", {"a"}}});
  const auto fail = [](const std::string&) { return kFailed; };
  EXPECT_EQ(drain(plan, options_for(plan, folder.path()), fail).size(), 1U);
  EXPECT_EQ(drain(plan, options_for(plan, folder.path()), fail).size(), 0U);
  auto retry = options_for(plan, folder.path());
  retry.retry = true;
  EXPECT_EQ(drain(plan, retry, fail).size(), 1U);
  auto again = options_for(plan, folder.path());
  again.retry = true;
  EXPECT_EQ(drain(plan, again, [](const std::string&) { return kDone; }),
            (std::vector<std::string>{"a", "b"}));
}

TEST(TaskQueue, StoppedAndKilledTasksAreTakenUpByTheNextRunNotByTheSame) {
  for (const auto state : {TaskState::stopped, TaskState::killed}) {
    const TemporaryDirectory folder;
    const Plan plan = many_tasks(2);
    const auto end = [&](const std::string& name) {
      return name == "task-0" ? Ending{.state = state} : kDone;
    };
    EXPECT_EQ(drain(plan, options_for(plan, folder.path()), end).size(), 2U);
    EXPECT_EQ(drain(plan, options_for(plan, folder.path()), [](auto&) { return kDone; }),
              (std::vector<std::string>{"task-0"}));
  }
}

TEST(TaskQueue, WaitsForATaskThatSomebodyElseRunsAndTakesItOverWhenItsClaimIsStale) {
  const TemporaryDirectory folder;
  const Plan plan = small_plan({{"pretrain", {}}, {"finetune", {"pretrain"}}});
  // Somebody on another host.
  Claimant other = this_claimant("other");
  other.process = "another kernel 7 7";
  ASSERT_TRUE(create_claim(task_folder(folder.path(), "pretrain"), 1, other));
  FakeWorld world;
  auto options = options_for(plan, folder.path());
  options.evidence = world.evidence();
  TaskQueue queue(plan, options);
  const auto first = queue.next();
  EXPECT_EQ(first.step, Step::wait);
  EXPECT_GT(first.pause_s, 0);
  const auto second = queue.next();
  EXPECT_EQ(second.step, Step::wait);
  EXPECT_GT(second.pause_s, first.pause_s) << "the longer it takes, the more seldom it looks";

  world.heartbeat_age = 61;
  const auto taken = queue.next();
  ASSERT_EQ(taken.step, Step::run);
  EXPECT_EQ(plan.tasks[taken.task].name, "pretrain");
  EXPECT_EQ(taken.attempt, 2);
  queue.end(taken, kDone);
  EXPECT_EQ(plan.tasks[queue.next().task].name, "finetune");
}

// The owner was only slow: it ends its attempt just after it was held for dead.
TEST(TaskQueue, AnOwnerHeldForDeadThatFinishesIsNotRepeated) {
  const TemporaryDirectory folder;
  const Plan plan = many_tasks(1);
  const fs::path task = task_folder(folder.path(), "task-0");
  const Claimant slow = this_claimant("slow");
  ASSERT_TRUE(create_claim(task, 1, slow));
  FakeWorld world;
  auto options = options_for(plan, folder.path());
  options.evidence = world.evidence();
  options.evidence.process_gone = [&](const Claimant&) {
    write_ending(task, plan.tasks[0].digest, 1, slow, kDone);
    return true;
  };
  TaskQueue queue(plan, options);
  EXPECT_EQ(queue.next().step, Step::finished);
  EXPECT_EQ(state_of(plan, folder.path(), "task-0"), TaskState::done);
}

TEST(TaskQueue, KeepsToItsSelection) {
  const TemporaryDirectory folder;
  const Plan plan = small_plan({{"a", {}}, {"b", {"a"}}, {"c", {}}});
  auto options = options_for(plan, folder.path());
  options.selection = with_needs(plan, {1});
  EXPECT_EQ(drain(plan, options, [](auto&) { return kDone; }), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(state_of(plan, folder.path(), "c"), TaskState::waiting);
}

TEST(TaskState, IsInterruptedWhereAnAttemptLeftNoWord) {
  const TemporaryDirectory folder;
  FakeWorld world;
  const auto state = [&] { return read_status(folder.path(), "0123", world.evidence()).state; };
  EXPECT_EQ(state(), TaskState::waiting);
  ASSERT_TRUE(create_claim(folder.path(), 1, this_claimant("l")));
  EXPECT_EQ(state(), TaskState::running);
  world.process_gone = true;
  EXPECT_EQ(state(), TaskState::interrupted);
  write_ending(folder.path(), "0123", 1, this_claimant("l"), kFailed);
  EXPECT_EQ(state(), TaskState::failed);
  ASSERT_TRUE(create_claim(folder.path(), 2, this_claimant("l")));
  EXPECT_EQ(state(), TaskState::interrupted) << "the second attempt";
  world.process_gone = false;
  EXPECT_EQ(state(), TaskState::running);
}

TEST(TaskState, ADamagedFileIsNamedWithWhatToDo) {
  const TemporaryDirectory folder;
  for (const char* text : {"{", "{}", "{\"attempt\": 1, \"digest\": \"0123\", \"state\": \"asleep\"}"}) {
    base::write_file_atomically(folder / "state.json", text);
    EXPECT_THROW(read_status(folder.path(), "0123", system_evidence()), base::DataError) << text;
  }
}

}  // namespace
}  // namespace mgrn::experiments
