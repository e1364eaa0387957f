// SPDX-License-Identifier: Apache-2.0
// The same run over MPI and alone: rank 0 repeats it on one rank and compares all promised bytes.
#include <gtest/gtest.h>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/train/run.hpp"
#include "support/mpi_world.hpp"
#include "train/shared_tiny_folder.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;
using mgrn::test::world;

TEST(RunOverMpi, GivesTheBytesOfOneRankAlsoWhenResumed) {
  const test::SharedTinyFolder folder;
  run_training(test::tiny_settings(folder.path(), folder.path() / "all"), world());
  const Settings resumed = test::tiny_settings(folder.path(), folder.path() / "resumed");
  bool stopped = false;
  try {
    run_training(resumed, world(), {.stop_after_step = 5});
  } catch (const base::Stopped&) {
    stopped = true;
  }
  EXPECT_TRUE(stopped);
  std::string text;
  comm::agree(world(), [&] {
    if (world().rank() == 0) {
      const auto self = comm::make_self_communicator();
      run_training(resumed, *self);
      run_training(test::tiny_settings(folder.path(), folder.path() / "alone"), *self);
      text = test::promised_bytes(folder.path() / "alone");
      EXPECT_EQ(test::promised_bytes(folder.path() / "all"), text);
      EXPECT_EQ(test::promised_bytes(folder.path() / "resumed"), text);
    }
  });
}

TEST(RunOverMpi, ThePoolingReadoutGivesTheBytesOfOneRankAlsoWhenResumed) {
  const test::SharedTinyFolder folder;
  run_training(test::tiny_pool_settings(folder.path(), folder.path() / "all"), world());
  const Settings resumed = test::tiny_pool_settings(folder.path(), folder.path() / "resumed");
  EXPECT_THROW(run_training(resumed, world(), {.stop_after_step = 5}), base::Stopped);
  comm::agree(world(), [&] {
    if (world().rank() == 0) {
      const auto self = comm::make_self_communicator();
      run_training(resumed, *self);
      run_training(test::tiny_pool_settings(folder.path(), folder.path() / "alone"), *self);
      const std::string text = test::promised_bytes(folder.path() / "alone");
      EXPECT_NE(text.find("cells.0.weight"), std::string::npos);
      EXPECT_EQ(test::promised_bytes(folder.path() / "all"), text);
      EXPECT_EQ(test::promised_bytes(folder.path() / "resumed"), text);
    }
  });
}

TEST(RunOverMpi, DatasetsReadFromEachNodesOwnDiskLeaveNoTrace) {
  const test::SharedTinyFolder folder;
  run_training(test::tiny_settings(folder.path(), folder.path() / "shared"), world());
  Settings settings = test::tiny_settings(folder.path(), folder.path() / "staged");
  settings.stage = folder.path() / "own" / "disk";
  run_training(settings, world());
  comm::agree(world(), [&] {
    if (world().rank() == 0) {
      EXPECT_EQ(test::promised_bytes(folder.path() / "staged"),
                test::promised_bytes(folder.path() / "shared"));
      // The record names the user's file, the copy alone was read.
      const std::string info = base::read_file(folder.path() / "staged" / "run_info.json");
      EXPECT_NE(info.find((folder.path() / "A.h5").string()), std::string::npos);
      EXPECT_EQ(info.find("disk"), std::string::npos) << info;
      std::vector<fs::path> copies;
      for (const auto& entry : fs::directory_iterator(settings.stage)) {
        copies.push_back(entry.path());
      }
      ASSERT_EQ(copies.size(), 1u);
      EXPECT_EQ(base::read_file(copies[0]), base::read_file(folder.path() / "A.h5"));
      // A copy that is there already is taken: this one no reader would accept, and it has the same size and
      // age.
      const auto age = fs::last_write_time(copies[0]);
      std::ofstream(copies[0], std::ios::in) << "not a dataset";
      fs::last_write_time(copies[0], age);
    }
  });
  settings.out = folder.path() / "again";
  EXPECT_THROW(run_training(settings, world()), base::DataError);
  // One that is older or newer than the file is not.
  comm::agree(world(), [&] {
    if (world().rank() == 0) {
      fs::last_write_time(folder.path() / "A.h5", fs::file_time_type::clock::now());
    }
  });
  run_training(settings, world());
  EXPECT_EQ(test::promised_bytes(folder.path() / "again"), test::promised_bytes(folder.path() / "shared"));
}

TEST(RunOverMpi, SixteenBitValuesChangeTheResultButNotWithTheNumberOfRanks) {
  const test::SharedTinyFolder folder;
  const auto settings_for = [&](const char* name, pairs::Precision precision) {
    Settings settings = test::tiny_settings(folder.path(), folder.path() / name);
    settings.precision = precision;
    return settings;
  };
  run_training(settings_for("all", pairs::Precision::int16), world());
  comm::agree(world(), [&] {
    if (world().rank() == 0) {
      const auto self = comm::make_self_communicator();
      run_training(settings_for("alone", pairs::Precision::int16), *self);
      run_training(settings_for("float32", pairs::Precision::float32), *self);
      const std::string text = test::promised_bytes(folder.path() / "alone");
      EXPECT_EQ(test::promised_bytes(folder.path() / "all"), text);
      EXPECT_NE(test::promised_bytes(folder.path() / "float32"), text);
    }
  });
}

TEST(RunOverMpi, OtherCellsOfAPairChangeTheResultButNotWithTheNumberOfRanks) {
  const test::SharedTinyFolder folder;
  for (const pairs::PairCells rule : {pairs::PairCells::either, pairs::PairCells::all}) {
    const std::string name = rule == pairs::PairCells::all ? "all" : "either";
    const auto settings_for = [&](const std::string& out, pairs::PairCells cells) {
      Settings settings = test::tiny_settings(folder.path(), folder.path() / (name + "-" + out));
      settings.pair_cells = cells;
      return settings;
    };
    const base::Json result = run_training(settings_for("ranks", rule), world());
    EXPECT_EQ(result.at("labelled_pairs_without_cells"), 0);
    comm::agree(world(), [&] {
      if (world().rank() == 0) {
        const auto self = comm::make_self_communicator();
        run_training(settings_for("alone", rule), *self);
        const base::Json both = run_training(settings_for("both", pairs::PairCells::both), *self);
        EXPECT_GT(both.at("labelled_pairs_without_cells"), 0);
        const std::string text = test::promised_bytes(folder.path() / (name + "-alone"));
        EXPECT_EQ(test::promised_bytes(folder.path() / (name + "-ranks")), text);
        EXPECT_NE(test::promised_bytes(folder.path() / (name + "-both")), text);
      }
    });
  }
}

}  // namespace
}  // namespace mgrn::train
