// SPDX-License-Identifier: Apache-2.0
// What a user sees when the disk fails under a running job, or the job dies in the middle of a save: the
// program itself under the preloaded fault shim (tests/support/fault_shim.cpp).
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "program/run_program.hpp"
#include "support/temporary_directory.hpp"

namespace {

namespace fs = std::filesystem;
using mgrn::test::ProgramResult;
using mgrn::test::small_case;
using mgrn::test::TemporaryDirectory;

std::string content(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

/// `faults`: NAME=VALUE words for the shim; empty: no faults.
ProgramResult train(const fs::path& out, const std::string& faults, int ranks = 0) {
  std::string line;
  if (!faults.empty()) {
    line = "env LD_PRELOAD='" MGRN_FAULT_SHIM "' MGRN_FAULT_UNDER='" + (out / "checkpoints").string() + "' " +
           faults + " ";
  }
  if (ranks > 0) {
    line += mgrn::test::mpiexec(ranks);
  }
  line += mgrn::test::program_path() + " train";
  for (const auto& key : small_case().training_keys(out)) {
    line += " '" + key + "'";
  }
  return mgrn::test::run_shell(line + " --train.checkpoint_every 2");
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class DiskFaults : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryDirectory;
    const fs::path log = *folder_ / "calls";
    const ProgramResult result = train(*folder_ / "whole", "MGRN_FAULT_LOG='" + log.string() + "'");
    ASSERT_EQ(result.code, 0) << result.errors;
    std::istringstream lines(content(log));
    for (std::string line; std::getline(lines, line);) {
      calls_.push_back(line);
    }
    ASSERT_GT(calls_.size(), 50u);
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  /// Number of the first call of the checkpoint of step 4 that does this.
  static std::string second_save(const std::string& name) {
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      if (calls_[i].find(" " + name + " ") != std::string::npos &&
          calls_[i].find(".step-000000004.tmp-") != std::string::npos) {
        return std::to_string(i + 1);
      }
    }
    ADD_FAILURE() << "no such call: " << name;
    return "0";
  }
  static void expect_it_goes_on_to_the_same_end(const fs::path& out, int ranks) {
    const ProgramResult again = train(out, "", ranks);
    ASSERT_EQ(again.code, 0) << again.errors;
    EXPECT_NE(again.errors.find("going on after step 2\n"), std::string::npos) << again.errors;
    for (const char* name :
         {"config.ini", "split.csv", "model.safetensors", "predictions.csv", "result.json"}) {
      EXPECT_TRUE(content(out / name) == content(*folder_ / "whole" / name)) << name << " differs";
    }
  }

  static TemporaryDirectory* folder_;
  static std::vector<std::string> calls_;
};
TemporaryDirectory* DiskFaults::folder_ = nullptr;
std::vector<std::string> DiskFaults::calls_;

struct Disk {
  const char* action;
  const char* call;  ///< from which on it fails
  const char* said;
  int ranks;
};

class FailingDisk : public DiskFaults, public testing::WithParamInterface<Disk> {};

TEST_P(FailingDisk, EndsWith74ALineThatSaysWhyAndTheOlderCheckpoint) {
  const Disk disk = GetParam();
  const fs::path out =
      *folder_ / (std::string(disk.action) + "-" + disk.call + "-" + std::to_string(disk.ranks));
  const ProgramResult result = train(out,
                                     "MGRN_FAULT_STICKY=1 MGRN_FAULT_ACTION=" + std::string(disk.action) +
                                         " MGRN_FAULT_AT=" + second_save(disk.call),
                                     disk.ranks);
  EXPECT_EQ(result.code, 74) << result.errors;
  const auto line = result.errors.find("error: ");
  ASSERT_NE(line, std::string::npos) << result.errors;
  EXPECT_EQ(result.errors.find("error: ", line + 1), std::string::npos) << "said once: " << result.errors;
  const std::string error = result.errors.substr(line, result.errors.find('\n', line) - line);
  EXPECT_NE(error.find(disk.said), std::string::npos) << error;
  EXPECT_NE(error.find((out / "checkpoints").string()), std::string::npos) << error;
  EXPECT_NE(result.errors.find("\nhint: ", line), std::string::npos) << result.errors;
  EXPECT_EQ(names_in(out / "checkpoints"), std::vector<std::string>{"step-000000002"});
  EXPECT_FALSE(fs::exists(out / "result.json"));
  EXPECT_NE(content(out / "run_info.json").find("cannot"), std::string::npos) << "the run's own record";
  expect_it_goes_on_to_the_same_end(out, disk.ranks);
}

INSTANTIATE_TEST_SUITE_P(Disks, FailingDisk,
                         testing::Values(Disk{"ENOSPC", "write", "No space left on device", 0},
                                         Disk{"ENOSPC", "write", "No space left on device", 2},
                                         Disk{"EDQUOT", "write", "Disk quota exceeded", 0},
                                         Disk{"EIO", "write", "Input/output error", 0},
                                         Disk{"EIO", "fsync", "Input/output error", 2},
                                         Disk{"EROFS", "mkdir", "Read-only file system", 0},
                                         Disk{"EACCES", "mkdir", "Permission denied", 0}),
                         [](const auto& disk) {
                           return std::string(disk.param.action) + "_at_" + disk.param.call + "_on_" +
                                  std::to_string(disk.param.ranks) + "_ranks";
                         });

TEST_F(DiskFaults, KilledInTheMiddleOfASaveOnTwoRanksItGoesOnFromTheOneBefore) {
  const fs::path out = *folder_ / "killed";
  const ProgramResult result = train(out, "MGRN_FAULT_ACTION=torn MGRN_FAULT_AT=" + second_save("write"), 2);
  EXPECT_NE(result.code, 0);
  EXPECT_NE(result.code, 74) << result.errors;
  EXPECT_FALSE(fs::exists(out / "result.json"));
  const auto names = names_in(out / "checkpoints");
  EXPECT_EQ(std::count(names.begin(), names.end(), "step-000000002"), 1);
  EXPECT_EQ(std::count(names.begin(), names.end(), "step-000000004"), 0);
  expect_it_goes_on_to_the_same_end(out, 3);
}

}  // namespace
