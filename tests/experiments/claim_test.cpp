// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/claim.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "experiments/small_plans.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/stop_signal.hpp"
#include "support/temporary_directory.hpp"
#include "support/time_limit.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;
using mgrn::test::TemporaryDirectory;
using test::FakeWorld;

const fs::path kClaim = "claim";

void set_age(const fs::path& file, double seconds) {
  fs::last_write_time(
      file, fs::file_time_type::clock::now() - std::chrono::duration_cast<fs::file_time_type::duration>(
                                                   std::chrono::duration<double>(seconds)));
}

TEST(StaleClaim, IsOneWhoseHeartbeatIsOlderThanAMinute) {
  FakeWorld world;
  for (const auto& [age, stale] : {std::pair(0.0, false), std::pair(60.0, false), std::pair(60.1, true)}) {
    world.heartbeat_age = age;
    EXPECT_EQ(is_stale(kClaim, {}, world.evidence()), stale) << age;
  }
}

TEST(StaleClaim, IsOneWhoseSlurmJobIsGoneAsSoonAsAHeartbeatIsMissed) {
  FakeWorld world;
  world.slurm_job_gone = true;
  world.heartbeat_age = 19;
  EXPECT_FALSE(is_stale(kClaim, {.slurm_job = "7"}, world.evidence()));
  EXPECT_EQ(world.slurm_asked, 0) << "a cluster's controller is asked only where there is doubt";
  world.heartbeat_age = 21;
  EXPECT_TRUE(is_stale(kClaim, {.slurm_job = "7"}, world.evidence()));
  world.slurm_job_gone = false;
  EXPECT_FALSE(is_stale(kClaim, {.slurm_job = "7"}, world.evidence()));
}

// A PID of another host, or of another container, says nothing: it may well be in use here, or not.
TEST(StaleClaim, IsNeverJudgedByAPidOfAnotherHost) {
  const auto evidence = system_evidence();
  const Claimant mine = this_claimant("here");
  EXPECT_FALSE(evidence.process_gone(mine));

  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  // The same kernel, and a process that has ended.
  const auto pid_at = mine.process.find(" " + std::to_string(::getpid()) + " ");
  ASSERT_NE(pid_at, std::string::npos) << mine.process;
  Claimant ended = mine;
  ended.process = mine.process.substr(0, pid_at) + " " + std::to_string(child) + " 12345";
  EXPECT_TRUE(evidence.process_gone(ended));
  // The same PID as this process, started at another time: a later owner of the number.
  Claimant reused = mine;
  reused.process = mine.process.substr(0, mine.process.rfind(' ')) + " 1";
  EXPECT_TRUE(evidence.process_gone(reused));
  // Another kernel.
  Claimant elsewhere = ended;
  elsewhere.process[0] = elsewhere.process[0] == 'a' ? 'b' : 'a';
  EXPECT_FALSE(evidence.process_gone(elsewhere));
  EXPECT_FALSE(evidence.process_gone(Claimant{})) << "an owner that has not written its name yet";
}

/// A `squeue` that knows job 11 as running, 12 as waiting again after a requeue, not 13, and has no answer
/// for 14.
void write_squeue(const fs::path& folder) {
  base::write_file_atomically(
      folder / "squeue",
      "#!/bin/sh\ncase \"$*\" in\n"
      "*--jobs=11) echo RUNNING ;;\n*--jobs=12) echo PENDING ;;\n"
      "*--jobs=13) echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1 ;;\n"
      "*) echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1 ;;\n"
      "esac\n");
  fs::permissions(folder / "squeue", fs::perms::owner_all);
}

TEST(StaleClaim, AsksSlurmWhetherAJobIsGoneAndTakesNoAnswerForNone) {
  const TemporaryDirectory folder;
  write_squeue(folder.path());
  const std::string path = ::getenv("PATH");
  ::setenv("PATH", (folder.path().string() + ":" + path).c_str(), 1);
  ::unsetenv("SLURM_JOB_ID");
  const auto gone = [](const Claimant& owner) { return system_evidence().slurm_job_gone(owner); };
  EXPECT_FALSE(gone({.slurm_job = ""}));
  EXPECT_FALSE(gone({.slurm_job = "11"}));
  EXPECT_TRUE(gone({.slurm_job = "12"})) << "its processes are gone; whoever holds the claim now has another";
  EXPECT_TRUE(gone({.slurm_job = "13"}));
  EXPECT_FALSE(gone({.slurm_job = "14"}));
  EXPECT_FALSE(gone({.slurm_job = "13; rm -rf x"}));
  // A claim of this very job: of its present life, or of the one before it was requeued.
  ::setenv("SLURM_JOB_ID", "12", 1);
  ::setenv("SLURM_RESTART_COUNT", "1", 1);
  EXPECT_FALSE(gone({.slurm_job = "12", .slurm_restart = "1"}));
  EXPECT_TRUE(gone({.slurm_job = "12", .slurm_restart = ""}));
  ::unsetenv("SLURM_JOB_ID");
  ::unsetenv("SLURM_RESTART_COUNT");
  ::setenv("PATH", path.c_str(), 1);
}

TEST(StaleClaim, AgesByTheClockOfTheFileSystem) {
  const TemporaryDirectory folder;
  ASSERT_TRUE(create_claim(folder.path(), 1, this_claimant("one")));
  const auto evidence = system_evidence();
  EXPECT_LT(evidence.heartbeat_age(claim_file(folder.path(), 1)), 30);
  set_age(claim_file(folder.path(), 1), 100);
  EXPECT_NEAR(evidence.heartbeat_age(claim_file(folder.path(), 1)), 100, 30);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path() / "claims"), {}), 1) << "the probe is removed";
}

TEST(Claim, IsWonByOneOfManyWhoTryAtOnce) {
  const TemporaryDirectory folder;
  for (int attempt = 1; attempt <= 50; ++attempt) {
    std::atomic<int> winners = 0;
    std::atomic<bool> start = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        while (!start) {
        }
        winners += create_claim(folder.path(), attempt, this_claimant("launch")) ? 1 : 0;
      });
    }
    start = true;
    for (auto& thread : threads) {
      thread.join();
    }
    EXPECT_EQ(winners, 1);
  }
  EXPECT_EQ(last_attempt(folder.path()), 50);
}

TEST(Claim, SaysWhoseItIsAndADamagedOneSaysNothing) {
  const TemporaryDirectory folder;
  Claimant owner = this_claimant("abc");
  owner.slurm_job = "17";
  ASSERT_TRUE(create_claim(folder.path(), 1, owner));
  const Claimant read = read_claim(folder.path(), 1);
  EXPECT_EQ(read.host, owner.host);
  EXPECT_EQ(read.process, owner.process);
  EXPECT_EQ(read.slurm_job, "17");
  EXPECT_EQ(read.launch, "abc");
  base::write_file_atomically(claim_file(folder.path(), 1), "{\"host\": 3");
  EXPECT_EQ(read_claim(folder.path(), 1).host, "");
  EXPECT_EQ(read_claim(folder.path(), 2).host, "") << "one that is not there";
}

void wait_until(const std::function<bool()>& condition, double seconds) {
  const auto start = std::chrono::steady_clock::now();
  while (!condition() && std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() <
                             mgrn::test::time_limit(seconds)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

TEST(Heartbeat, KeepsAClaimYoung) {
  const TemporaryDirectory folder;
  ASSERT_TRUE(create_claim(folder.path(), 1, this_claimant("one")));
  set_age(claim_file(folder.path(), 1), 1000);
  const auto evidence = system_evidence();
  const Heartbeat heartbeat(folder.path(), 1, 0.01);
  wait_until([&] { return evidence.heartbeat_age(claim_file(folder.path(), 1)) < 500; }, 20);
  EXPECT_LT(evidence.heartbeat_age(claim_file(folder.path(), 1)), 500);
  EXPECT_FALSE(heartbeat.lost());
}

TEST(Heartbeat, NoticesThatAnotherAttemptHasBegunAndAsksForAStop) {
  const TemporaryDirectory folder;
  base::clear_stop_signal();
  ASSERT_TRUE(create_claim(folder.path(), 1, this_claimant("one")));
  const Heartbeat heartbeat(folder.path(), 1, 0.01);
  EXPECT_EQ(base::stop_signal(), 0);
  ASSERT_TRUE(create_claim(folder.path(), 2, this_claimant("two")));
  wait_until([&] { return base::stop_signal() != 0; }, 20);
  EXPECT_TRUE(heartbeat.lost());
  EXPECT_NE(base::stop_signal(), 0);
  base::clear_stop_signal();
}

}  // namespace
}  // namespace mgrn::experiments
