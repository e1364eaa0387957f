// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/baselines/trees/finished_targets.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "support/temporary_directory.hpp"

namespace mgrn::baselines {
namespace {

std::size_t files_in(const std::filesystem::path& folder) {
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) {
    ++files;
  }
  return files;
}

TEST(FinishedTargets, ComeBackWithTheSameBitsInAnyNumberOfFiles) {
  const test::TemporaryDirectory folder;
  const FinishedTargets disk(folder.path(), "data and seed");
  EXPECT_TRUE(disk.read().empty());
  disk.write({});
  const FinishedTarget a{.target = "B/a", .trees = 25, .importance = {{"TF1", 1.0 / 3}, {"TF2", 1e-300}}};
  const FinishedTarget b{.target = "Ab", .trees = 0};
  disk.write({a});
  disk.write({b, a});
  disk.write({b, a});
  EXPECT_EQ(files_in(disk.folder()), 2U);
  const auto read = disk.read();
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].target, "Ab");
  EXPECT_TRUE(read[0].importance.empty());
  EXPECT_EQ(read[1].target, "B/a");
  EXPECT_EQ(read[1].trees, 25);
  EXPECT_EQ(read[1].importance, a.importance);
}

TEST(FinishedTargets, OfOtherDataAreNotFound) {
  const test::TemporaryDirectory folder;
  FinishedTargets(folder.path(), "seed 1").write({{.target = "A", .trees = 1}});
  EXPECT_TRUE(FinishedTargets(folder.path(), "seed 2").read().empty());
}

TEST(FinishedTargets, AFileThatWasDamagedIsLeftOutAndTheOthersCount) {
  const test::TemporaryDirectory folder;
  const FinishedTargets disk(folder.path(), "key");
  disk.write({{.target = "A", .trees = 1}});
  for (const char* text :
       {"{\"target\":\"B\",\"tre", "{\"target\":\"B\"}\n", "{\"target\":3,\"trees\":1}\n"}) {
    std::ofstream(disk.folder() / "0000.jsonl") << text;
    const auto read = disk.read();
    ASSERT_EQ(read.size(), 1U);
    EXPECT_EQ(read[0].target, "A");
  }
}

}  // namespace
}  // namespace mgrn::baselines
