// SPDX-License-Identifier: Apache-2.0
// A run whose disk fails, or which dies, at every single call by which a checkpoint is saved. Each case is a
// forked child under the preloaded fault shim; a second child goes on without faults. What must hold for
// each: the newest checkpoint that was put in its place is the one gone on from, and the finished run has the
// bytes of an undisturbed one.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "multigrnformer/train/run.hpp"
#include "support/temporary_directory.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;

constexpr int kEvery = 2;  // steps between checkpoints
constexpr int kDied = 128 + SIGKILL;

struct Fault {
  long at = 0;  ///< 0: none
  std::string action = {};
  fs::path log = {};
  fs::path gate = {};
};

struct Ending {
  int code = -1;
  std::string errors;
};

/// Runs `work` in a child under `fault`; its exit code is the error's.
Ending in_child(const fs::path& under, const Fault& fault, const std::function<void()>& work) {
  const mgrn::test::TemporaryDirectory folder;
  const fs::path errors = folder / "errors";
  const pid_t child = ::fork();
  if (child == 0) {
    if (std::freopen(errors.c_str(), "w", stderr) == nullptr) {
      ::_exit(1);
    }
    ::setenv("MGRN_FAULT_UNDER", under.c_str(), 1);
    ::setenv("MGRN_FAULT_AT", std::to_string(fault.at).c_str(), 1);
    ::setenv("MGRN_FAULT_ACTION", fault.action.c_str(), 1);
    ::setenv("MGRN_FAULT_LOG", fault.log.c_str(), 1);
    ::setenv("MGRN_FAULT_GATE", fault.gate.c_str(), 1);
    reinterpret_cast<void (*)()>(::dlsym(RTLD_DEFAULT, "mgrn_fault_arm"))();
    int code = 0;
    try {
      work();
    } catch (const base::Error& error) {
      std::fprintf(stderr, "%s\n", error.what());
      code = static_cast<int>(error.code());
    } catch (const std::exception& error) {
      std::fprintf(stderr, "not one of ours: %s\n", error.what());
      code = 1;
    }
    std::fflush(nullptr);
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return {.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          .errors = base::read_file(errors)};
}

/// A call that the shim counted, and the checkpoint that a run killed before it must go on from.
struct Call {
  std::string name;
  std::string path;
  std::int64_t newest = 0;  ///< 0: none
};

std::int64_t step_named(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.rfind("step-", 0) == 0 && path.parent_path().filename() == "checkpoints"
             ? std::stoll(name.substr(5))
             : 0;
}

std::vector<Call> read_calls(const fs::path& log) {
  std::vector<Call> calls;
  std::set<std::int64_t> there = {0};
  std::istringstream lines(base::read_file(log));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::size_t number = 0;
    Call call;
    std::string target;
    words >> number >> call.name >> call.path >> target;
    EXPECT_EQ(number, calls.size() + 1);
    call.newest = *there.rbegin();
    calls.push_back(call);
    if (call.name == "rename") {
      there.erase(step_named(call.path));
      there.insert(step_named(target));
      there.insert(0);
    }
  }
  return calls;
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

class CheckpointFaults : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_NE(::dlsym(RTLD_DEFAULT, "mgrn_fault_arm"), nullptr)
        << "this test needs LD_PRELOAD=libmgrn_fault_shim.so, as CTest sets it";
    // In memory where that can be: some thousand flushes would take minutes on a disk that others use.
    if (::access("/dev/shm", W_OK) == 0) {
      ::setenv("TMPDIR", "/dev/shm", 1);
    }
    folder_ = new mgrn::test::TemporaryDirectory;
    ASSERT_EQ(in_child("", {}, [] { test::write_tiny_inputs(folder_->path()); }).code, 0);
    for (const int keep : {1, 2}) {
      const fs::path out = *folder_ / ("undisturbed" + std::to_string(keep));
      const fs::path log = *folder_ / ("calls" + std::to_string(keep));
      const Ending ending = run(out, keep, {.log = log});
      ASSERT_EQ(ending.code, 0) << ending.errors;
      calls_[keep] = read_calls(log);
      ASSERT_GT(calls_[keep].size(), 60u);
      bytes_ = test::promised_bytes(out);
    }
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  static Settings settings(const fs::path& out, int keep) {
    Settings settings = test::tiny_settings(folder_->path(), out);
    settings.checkpoint_every = kEvery;
    settings.keep_checkpoints = keep;
    return settings;
  }
  static Ending run(const fs::path& out, int keep, const Fault& fault, const Hooks& hooks = {}) {
    return in_child(out / "checkpoints", fault, [&] {
      const auto self = comm::make_self_communicator();
      run_training(settings(out, keep), *self, hooks);
    });
  }
  static void expect_undisturbed_end(const fs::path& out, int keep, std::int64_t from) {
    const Ending again = run(out, keep, {});
    ASSERT_EQ(again.code, 0) << again.errors;
    const std::string said = "going on after step " + std::to_string(from);
    EXPECT_EQ(again.errors.find(said + "\n") != std::string::npos, from > 0) << again.errors;
    EXPECT_EQ(again.errors.find("going on after step ") != std::string::npos, from > 0) << again.errors;
    EXPECT_EQ(again.errors.find("broken"), std::string::npos) << again.errors;
    EXPECT_TRUE(test::promised_bytes(out) == bytes_) << "other bytes than the undisturbed run";
    for (const auto& name : names_in(out / "checkpoints")) {
      EXPECT_EQ(name.rfind("step-", 0), 0u) << name << " is left behind";
    }
    const auto left = static_cast<int>(names_in(out / "checkpoints").size());
    // One that died while it tidied up behind its last checkpoint writes no more, and so removes no more.
    const bool was_the_last = from == calls_[keep].back().newest;
    EXPECT_GE(left, keep);
    EXPECT_LE(left, was_the_last ? keep + 1 : keep);
  }

  /// Dies at every call of a whole run's checkpoints.
  static void die_everywhere(const std::string& action, int keep) {
    for (std::size_t i = 0; i < calls_[keep].size(); ++i) {
      const Call& call = calls_[keep][i];
      SCOPED_TRACE(action + " at call " + std::to_string(i + 1) + ", " + call.name + " " + call.path);
      const fs::path out = *folder_ / (action + std::to_string(keep) + "-" + std::to_string(i + 1));
      const Ending ending = run(out, keep, {.at = static_cast<long>(i + 1), .action = action});
      ASSERT_EQ(ending.code, kDied) << ending.errors;
      ASSERT_NO_FATAL_FAILURE(expect_undisturbed_end(out, keep, call.newest));
      if (testing::Test::HasFailure()) {
        return;
      }
      fs::remove_all(out);
    }
  }

  static mgrn::test::TemporaryDirectory* folder_;
  static std::map<int, std::vector<Call>> calls_;  // by keep_checkpoints
  static std::string bytes_;
};
mgrn::test::TemporaryDirectory* CheckpointFaults::folder_ = nullptr;
std::map<int, std::vector<Call>> CheckpointFaults::calls_;
std::string CheckpointFaults::bytes_;

TEST_F(CheckpointFaults, KilledAtAnyCallTheNewestWholeOneIsGoneOnFrom) {
  die_everywhere("kill", 2);
}

TEST_F(CheckpointFaults, KilledInTheMiddleOfAnyWriteTheNewestWholeOneIsGoneOnFrom) {
  die_everywhere("torn", 1);
}

// A single checkpoint is kept: it may go only once the next one is flushed, name and content.
TEST_F(CheckpointFaults, WhatWasNotFlushedMayBeLostAtAnyCall) {
  die_everywhere("power", 1);
}

class FailingDisk : public CheckpointFaults, public testing::WithParamInterface<const char*> {};

TEST_P(FailingDisk, IsSaidWithCode74AndTheOneBeforeStays) {
  constexpr int kKeep = 2;
  const std::string action = GetParam();
  std::map<std::string, int> refused;
  for (std::size_t i = 0; i < calls_[kKeep].size(); ++i) {
    const Call& call = calls_[kKeep][i];
    if (call.newest > 2 * kEvery) {
      break;  // the first two, and the third with its removal of the first: the others are like it
    }
    SCOPED_TRACE(action + " at call " + std::to_string(i + 1) + ", " + call.name + " " + call.path);
    const fs::path out = *folder_ / (action + "-" + std::to_string(i + 1));
    const Ending ending = run(out, kKeep, {.at = static_cast<long>(i + 1), .action = action});
    // What only tidies up may fail: the new checkpoint is whole by then.
    const bool leaving = call.path.find(".tmp-leaving") != std::string::npos;
    const bool tidies = leaving || call.name == "unlink" ||
                        (call.name == "rename" && step_named(call.path) != 0) ||
                        (call.name == "open" && step_named(call.path) != 0);
    if (ending.code == 0) {
      EXPECT_TRUE(tidies || call.name == "open") << "a failure that nobody heard of";
      EXPECT_TRUE(test::promised_bytes(out) == bytes_);
    } else {
      ASSERT_EQ(ending.code, 74) << ending.errors;
      ++refused[call.name];
      EXPECT_NE(ending.errors.find("error: "), std::string::npos) << ending.errors;
      EXPECT_NE(ending.errors.find("hint: "), std::string::npos) << ending.errors;
      EXPECT_NE(ending.errors.find((out / "checkpoints").string()), std::string::npos) << ending.errors;
      for (const auto& name : names_in(out / "checkpoints")) {
        EXPECT_EQ(name.rfind("step-", 0), 0u) << name << " is left behind";
      }
      ASSERT_NO_FATAL_FAILURE(expect_undisturbed_end(out, kKeep, call.newest));
    }
    if (HasFailure()) {
      return;
    }
    fs::remove_all(out);
  }
  for (const char* name : {"mkdir", "create", "write", "fsync", "rename"}) {
    EXPECT_GT(refused[name], 0) << "no " << name << " has failed";
  }
}

INSTANTIATE_TEST_SUITE_P(Errors, FailingDisk, testing::Values("ENOSPC", "EDQUOT", "EIO", "EROFS"),
                         [](const auto& error) { return std::string(error.param); });

// Number of the first call that flushes a file of the second checkpoint.
long a_flush_of_the_second(const std::vector<Call>& calls) {
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const bool of_its_files = calls[i].path.find(".tmp-") != std::string::npos;
    if (calls[i].newest == kEvery && calls[i].name == "fsync" && of_its_files) {
      return static_cast<long>(i + 1);
    }
  }
  return 0;
}

// A save that waited for the disk would wait for ever: the disk waits for a later step.
TEST_F(CheckpointFaults, TrainingGoesOnWhileACheckpointIsWritten) {
  const long at = a_flush_of_the_second(calls_[2]);
  ASSERT_GT(at, 0);
  const fs::path out = *folder_ / "held";
  const fs::path gate = *folder_ / "gate";
  const auto open_gate = [&](std::int64_t step, std::int64_t, std::span<float>) {
    if (step == 2 * kEvery + 1) {
      std::ofstream(gate) << "go on";
    }
  };
  const Ending ending =
      run(out, 2, {.at = at, .action = "hold", .gate = gate}, {.stop_after_step = 0, .tamper = open_gate});
  ASSERT_EQ(ending.code, 0) << ending.errors;
  EXPECT_TRUE(test::promised_bytes(out) == bytes_);
}

TEST_F(CheckpointFaults, KilledByTrainingInTheMiddleOfASaveTheOneBeforeIsGoneOnFrom) {
  const long at = a_flush_of_the_second(calls_[2]);
  const fs::path out = *folder_ / "killed-beside";
  const auto die = [](std::int64_t step, std::int64_t, std::span<float>) {
    if (step == 2 * kEvery + 1) {
      ::raise(SIGKILL);
    }
  };
  const Ending ending = run(out, 2, {.at = at, .action = "hold", .gate = *folder_ / "never"},
                            {.stop_after_step = 0, .tamper = die});
  ASSERT_EQ(ending.code, kDied) << ending.errors;
  EXPECT_TRUE(fs::exists(out / "checkpoints")) << "nothing was in flight";
  expect_undisturbed_end(out, 2, kEvery);
}

TEST_F(CheckpointFaults, AFailureIsAnErrorOfAllRanksByTheNextCheckpoint) {
  const auto& calls = calls_[2];
  const auto is_flush = [](const Call& call) { return call.name == "fsync"; };
  const auto at = std::find_if(calls.begin(), calls.end(), is_flush) - calls.begin() + 1;
  const fs::path out = *folder_ / "ranks";
  const Ending ending = in_child(out / "checkpoints", {.at = at, .action = "EIO"}, [&] {
    std::mutex mutex;
    std::int64_t last_step = 0;
    std::vector<std::string> messages;
    const Hooks hooks{.stop_after_step = 0, .tamper = [&](std::int64_t step, std::int64_t, std::span<float>) {
                        const std::lock_guard lock(mutex);
                        last_step = std::max(last_step, step);
                      }};
    comm::run_ranks(3, [&](comm::Communicator& communicator) {
      try {
        run_training(settings(out, 2), communicator, hooks);
      } catch (const base::OutputError& error) {
        const std::lock_guard lock(mutex);
        messages.emplace_back(error.what());
      }
    });
    for (const auto& message : messages) {
      std::fprintf(stderr, "%s\n", message.c_str());
    }
    const bool alike = messages.size() == 3 && messages[0] == messages[1] && messages[1] == messages[2];
    std::fprintf(stderr, "alike: %d, soon: %d\n", alike ? 1 : 0, last_step <= 2 * kEvery ? 1 : 0);
  });
  ASSERT_EQ(ending.code, 0) << ending.errors;
  EXPECT_NE(ending.errors.find("alike: 1, soon: 1"), std::string::npos) << ending.errors;
  EXPECT_NE(ending.errors.find("(rank 0, file "), std::string::npos) << ending.errors;
}

}  // namespace
}  // namespace mgrn::train
