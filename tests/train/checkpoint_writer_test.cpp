// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/checkpoint_writer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "support/temporary_directory.hpp"
#include "support/time_limit.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;

constexpr model::Shape kShape{.cells = 16, .width = 4, .heads = 4, .layers = 1, .hidden = 8};

TrainingState some_state(std::int64_t step) {
  TrainingState state(kShape);
  state.step = step;
  for (const auto& view : state.parameters.views()) {
    std::fill_n(state.parameters.values().begin() + static_cast<std::ptrdiff_t>(view.offset), view.size,
                static_cast<float>(step));
  }
  return state;
}

const Identity& some_identity() {
  static const Identity identity{.config_text = "[train]\nepochs = 3\n",
                                 .engine = "linear/avx2",
                                 .inputs = {{"dataset", "aa"}},
                                 .build_id = "0123"};
  return identity;
}

bool restore(const CheckpointStore& store, TrainingState& state) {
  const auto self = comm::make_self_communicator();
  return store.restore(*self, some_identity(), state);
}

// A folder in which nothing can be made, for root neither: its name is a file's.
void block(const fs::path& run) {
  fs::remove_all(run / "checkpoints");
  std::ofstream(run / "checkpoints") << "in the way";
}
void unblock(const fs::path& run) {
  fs::remove(run / "checkpoints");
}

std::exception_ptr error_within(CheckpointWriter& writer, double seconds) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(mgrn::test::time_limit(seconds));
  while (std::chrono::steady_clock::now() < end) {
    if (auto error = writer.take_error()) {
      return error;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return nullptr;
}

TEST(CheckpointWriter, WritesTheStateOfTheCallNotWhatTrainingMadeOfIt) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 3);
  CheckpointWriter writer(store, some_identity());
  TrainingState state = some_state(7);
  writer.start(state);
  std::ranges::fill(state.parameters.values(), -1.0f);
  state.step = 8;
  writer.finish();
  TrainingState found(kShape);
  ASSERT_TRUE(restore(store, found));
  EXPECT_EQ(found.step, 7);
  EXPECT_TRUE(std::ranges::equal(found.parameters.values(), some_state(7).parameters.values()));
}

TEST(CheckpointWriter, HasOneInFlightAndKeepsTheirOrder) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  {
    CheckpointWriter writer(store, some_identity());
    for (std::int64_t step = 1; step <= 20; ++step) {
      writer.start(some_state(step));
      // The one before is on disk as soon as the next is begun.
      EXPECT_TRUE(step == 1 || fs::exists(store.folder_of(step - 1))) << step;
    }
  }
  EXPECT_TRUE(fs::exists(store.folder_of(19)));
  EXPECT_TRUE(fs::exists(store.folder_of(20))) << "the writer's end waits for the last";
  EXPECT_FALSE(fs::exists(store.folder_of(18)));
}

TEST(CheckpointWriter, TellsOfAFailedWriteOnceAndThenGoesOn) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  CheckpointWriter writer(store, some_identity());
  block(folder.path());
  writer.start(some_state(1));
  const auto error = error_within(writer, 30);
  ASSERT_TRUE(error);
  EXPECT_THROW(std::rethrow_exception(error), base::OutputError);
  EXPECT_FALSE(writer.take_error());
  writer.finish();
  unblock(folder.path());
  writer.start(some_state(2));
  writer.finish();
  TrainingState found(kShape);
  ASSERT_TRUE(restore(store, found));
  EXPECT_EQ(found.step, 2);
}

TEST(CheckpointWriter, AFailedWriteIsToldByTheNextCallAtTheLatest) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  CheckpointWriter writer(store, some_identity());
  block(folder.path());
  writer.start(some_state(1));
  EXPECT_THROW(writer.start(some_state(2)), base::OutputError);
  writer.start(some_state(2));
  EXPECT_THROW(writer.finish(), base::OutputError);
  testing::internal::CaptureStderr();
  {
    CheckpointWriter forgotten(store, some_identity());
    forgotten.start(some_state(3));
  }
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("the last checkpoint is not written"), std::string::npos) << log;
}

}  // namespace
}  // namespace mgrn::train
