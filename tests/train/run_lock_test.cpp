// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/run_lock.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr RunLock::Timing kQuick{
    .beat = milliseconds(20), .patience = milliseconds(600), .leaving = milliseconds(300)};

std::string refusal(const fs::path& run) {
  try {
    const RunLock lock(run, kQuick);
  } catch (const base::UsageError& error) {
    return error.what();
  }
  return "";
}

base::Json content(const fs::path& run) {
  for (;;) {
    const base::Json value = base::Json::parse(base::read_file(run / ".lock"), nullptr, false);
    if (value.is_object()) {
      return value;
    }
  }
}

// The lock that a process leaves which was killed while it held it.
base::Json left_by_a_killed_process(const fs::path& run) {
  const pid_t child = ::fork();
  if (child == 0) {
    const RunLock lock(run, kQuick);
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  return content(run);
}

// As a holder does: at no moment is the file empty, which would mean free.
void put(const fs::path& run, const base::Json& holder) {
  const std::string text = base::json_line(holder) + "\n";
  fs::resize_file(run / ".lock", std::max<std::uintmax_t>(fs::file_size(run / ".lock"), 1));
  std::fstream(run / ".lock", std::ios::in | std::ios::out) << text;
  fs::resize_file(run / ".lock", text.size());
}

TEST(RunLock, ASecondJobIsRefusedAndToldWhoWorksThere) {
  const mgrn::test::TemporaryDirectory folder;
  {
    const RunLock first(folder.path(), kQuick);
    const std::string error = refusal(folder.path());
    EXPECT_NE(error.find("another job works in this folder"), std::string::npos) << error;
    EXPECT_NE(error.find("process " + std::to_string(::getpid())), std::string::npos) << error;
    EXPECT_NE(error.find("hint: "), std::string::npos) << error;
    first.require_held();
  }
  EXPECT_EQ(refusal(folder.path()), "") << "given back at the end";
}

// A launcher returns before all its ranks are gone: who starts again at once must not be refused for that.
TEST(RunLock, AHolderThatIsAboutToGoIsWaitedFor) {
  const mgrn::test::TemporaryDirectory folder;
  auto first = std::make_unique<RunLock>(folder.path(), kQuick);
  std::thread leaving([&] {
    std::this_thread::sleep_for(milliseconds(500));
    first.reset();
  });
  std::string error;
  try {
    const RunLock second(
        folder.path(),
        {.beat = milliseconds(20), .patience = milliseconds(600), .leaving = milliseconds(30'000)});
    second.require_held();
  } catch (const base::Error& refused) {
    error = refused.what();
  }
  leaving.join();
  EXPECT_EQ(error, "");
}

// Where the file system has no kernel locks the process number must do.
TEST(RunLock, ALivingProcessOfThisMachineKeepsItWithoutKernelLocks) {
  const mgrn::test::TemporaryDirectory folder;
  base::Json holder;
  {
    const RunLock lock(folder.path(), kQuick);
    holder = content(folder.path());
  }
  put(folder.path(), holder);
  EXPECT_NE(refusal(folder.path()).find("another job works"), std::string::npos);
  holder["process_start"] = "1";  // the number belongs to another process by now
  put(folder.path(), holder);
  EXPECT_EQ(refusal(folder.path()), "");
}

TEST(RunLock, AKilledProcessOfThisMachineLosesItAtOnce) {
  const mgrn::test::TemporaryDirectory folder;
  const base::Json holder = left_by_a_killed_process(folder.path());
  ASSERT_NE(holder["process"], ::getpid());
  testing::internal::CaptureStderr();
  EXPECT_EQ(refusal(folder.path()), "");
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("ended without saying so"), std::string::npos) << log;
  EXPECT_EQ(log.find("watching"), std::string::npos) << log;
}

// The process is dead and its number free, which on another machine says nothing.
TEST(RunLock, OfAnotherMachineIsNeverJudgedByItsProcessNumber) {
  const mgrn::test::TemporaryDirectory folder;
  base::Json holder = left_by_a_killed_process(folder.path());
  holder["machine"] = "another boot";
  holder["host"] = "node7";
  put(folder.path(), holder);
  std::atomic<bool> over = false;
  std::thread alive([&] {
    for (int count = 1; !over; ++count) {
      holder["count"] = count;
      put(folder.path(), holder);
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  const std::string error = refusal(folder.path());
  over = true;
  alive.join();
  EXPECT_NE(error.find("on node7"), std::string::npos) << error;

  testing::internal::CaptureStderr();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(refusal(folder.path()), "") << "its count stands still now";
  EXPECT_GE(std::chrono::steady_clock::now() - start, kQuick.patience);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("watching"), std::string::npos) << log;
}

TEST(RunLock, ARequeuedSlurmJobTakesItsOwnLockOver) {
  const mgrn::test::TemporaryDirectory folder;
  base::Json holder = left_by_a_killed_process(folder.path());
  holder["machine"] = "another boot";
  holder["slurm_job"] = "4711";
  holder["slurm_restarts"] = 0;
  put(folder.path(), holder);
  ::setenv("SLURM_JOB_ID", "4711", 1);
  ::setenv("SLURM_RESTART_COUNT", "1", 1);
  testing::internal::CaptureStderr();
  EXPECT_EQ(refusal(folder.path()), "");
  const std::string log = testing::internal::GetCapturedStderr();
  ::unsetenv("SLURM_JOB_ID");
  ::unsetenv("SLURM_RESTART_COUNT");
  EXPECT_EQ(log.find("watching"), std::string::npos) << log;
}

TEST(RunLock, AHolderThatStoodStillFindsOutThatItHasLostIt) {
  const mgrn::test::TemporaryDirectory folder;
  const RunLock lock(folder.path(), {.beat = std::chrono::hours(1), .patience = milliseconds(100)});
  lock.require_held();
  base::Json other = content(folder.path());
  other["host"] = "node8";
  put(folder.path(), other);
  EXPECT_THROW(lock.require_held(), base::OutputError);
}

TEST(RunLock, ItsHolderRaisesTheCount) {
  const mgrn::test::TemporaryDirectory folder;
  const RunLock lock(folder.path(), kQuick);
  const auto before = content(folder.path())["count"].get<int>();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (content(folder.path())["count"].get<int>() < before + 3) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    std::this_thread::sleep_for(milliseconds(5));
  }
}

}  // namespace
}  // namespace mgrn::train
