// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/checkpoint.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/digest.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;

constexpr model::Shape kShape{.cells = 16, .width = 4, .heads = 4, .layers = 1, .hidden = 8};

// Only named tensors are stored: what lies between them is padding and zero.
void fill(const model::Parameters& layout, std::span<float> values, float start) {
  for (const auto& view : layout.views()) {
    for (std::size_t i = 0; i < view.size; ++i) {
      values[view.offset + i] = start + 0.001f * static_cast<float>(view.offset + i);
    }
  }
}

TrainingState some_state(std::int64_t step) {
  TrainingState state(kShape);
  state.step = step;
  state.epoch = 2;
  state.step_in_epoch = 3;
  state.adam_steps = step - 1;
  state.scale = {.level = 1, .clean_steps = 17};
  state.skipped_steps = 1;
  state.bad_steps_in_row = 1;
  state.sums = {.loss = 0.1,
                .samples = 96,
                .gradient_norm = 1.0 / 3.0,
                .steps = 3,
                .live_hidden = 20,
                .units = 6,
                .skipped_steps = 1};
  fill(state.parameters, state.parameters.values(), static_cast<float>(step));
  fill(state.parameters, state.first_moment, 0.5f);
  fill(state.parameters, state.second_moment, 0.25f);
  state.best = BestEpoch{.epoch = 1,
                         .validation_loss = 0.6931471805599453,
                         .values = std::vector<float>(state.first_moment.size())};
  fill(state.parameters, state.best->values, -1.0f);
  return state;
}

Identity some_identity() {
  return {.config_text = "[train]\nepochs = 3\nthreads = 1\n",
          .engine = "quadratic/avx2",
          .inputs = {{"dataset", "aa"}, {"split", "ff"}},
          .build_id = "0123"};
}

void expect_equal(const TrainingState& a, const TrainingState& b) {
  EXPECT_EQ(scalars_of(a), scalars_of(b));
  EXPECT_TRUE(std::ranges::equal(a.parameters.values(), b.parameters.values()));
  EXPECT_EQ(a.first_moment, b.first_moment);
  EXPECT_EQ(a.second_moment, b.second_moment);
  ASSERT_EQ(a.best.has_value(), b.best.has_value());
  if (a.best) {
    EXPECT_EQ(a.best->values, b.best->values);
  }
}

bool restore(const CheckpointStore& store, const Identity& identity, TrainingState& state) {
  const auto self = comm::make_self_communicator();
  return store.restore(*self, identity, state);
}

template <typename Error>
std::string refusal(const CheckpointStore& store, const Identity& identity) {
  try {
    TrainingState state(kShape);
    restore(store, identity, state);
  } catch (const Error& error) {
    return error.what();
  }
  return "no such error";
}

// Changes one byte in the middle of a file.
void damage(const fs::path& file) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(0, std::ios::end);
  const auto middle = stream.tellg() / 2;
  stream.seekg(middle);
  const int byte = stream.get();
  stream.seekp(middle);
  stream.put(static_cast<char>(byte ^ 1));
}

TEST(Checkpoint, TheWholeStateComesBackOnAnyNumberOfRanks) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  const TrainingState before = some_state(12);
  store.write(before, some_identity());
  for (const int ranks : {1, 3}) {
    comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
      TrainingState after(kShape);
      EXPECT_TRUE(store.restore(communicator, some_identity(), after));
      expect_equal(before, after);
    });
  }
}

TEST(Checkpoint, WithoutABestEpochThereIsNone) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  TrainingState before = some_state(12);
  before.best.reset();
  store.write(before, some_identity());
  TrainingState after(kShape);
  EXPECT_TRUE(restore(store, some_identity(), after));
  EXPECT_FALSE(after.best);
}

TEST(Checkpoint, TheManifestHoldsSizesAndChecksums) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  store.write(some_state(12), some_identity());
  const fs::path checkpoint = folder.path() / "checkpoints" / "step-000000012";
  const auto manifest = base::read_json(checkpoint / "manifest.json");
  for (const char* name : {"model.safetensors", "optimizer.safetensors"}) {
    EXPECT_EQ(manifest["files"][name]["bytes"], fs::file_size(checkpoint / name));
    EXPECT_EQ(manifest["files"][name]["sha256"], base::sha256_of_file(checkpoint / name));
  }
  EXPECT_EQ(manifest["step"], 12);
  EXPECT_EQ(manifest["epoch"], 2);
  EXPECT_EQ(manifest["state"]["scale"]["level"], 1);
  EXPECT_EQ(manifest["build"], "0123");
}

TEST(Checkpoint, OnlyTheNewestStay) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  for (const int step : {5, 10, 15, 20}) {
    store.write(some_state(step), some_identity());
  }
  EXPECT_FALSE(fs::exists(store.folder_of(10)));
  EXPECT_TRUE(fs::exists(store.folder_of(15)));
  EXPECT_TRUE(fs::exists(store.folder_of(20)));
}

class BrokenCheckpoint : public testing::TestWithParam<const char*> {};

TEST_P(BrokenCheckpoint, IsPassedOverForTheOneBefore) {
  const std::string kind = GetParam();
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 3);
  store.write(some_state(10), some_identity());
  store.write(some_state(20), some_identity());
  const fs::path newest = store.folder_of(20);
  if (kind == "truncated") {
    fs::resize_file(newest / "model.safetensors", 100);
  } else if (kind == "damaged") {
    damage(newest / "optimizer.safetensors");
  } else if (kind == "without manifest") {
    fs::remove(newest / "manifest.json");
  } else if (kind == "torn manifest") {
    fs::resize_file(newest / "manifest.json", 40);
  } else if (kind == "without a file") {
    fs::remove(newest / "optimizer.safetensors");
  } else if (kind == "of a newer format") {
    auto manifest = base::read_json(newest / "manifest.json");
    manifest["format"] = 99;
    base::write_file_atomically(newest / "manifest.json", base::json_text(manifest));
  }
  testing::internal::CaptureStderr();
  TrainingState state(kShape);
  EXPECT_TRUE(restore(store, some_identity(), state));
  const std::string log = testing::internal::GetCapturedStderr();
  expect_equal(state, some_state(10));
  EXPECT_NE(log.find("step-000000020"), std::string::npos) << log;
  // The broken one gives way when its step is reached again.
  store.write(some_state(20), some_identity());
  EXPECT_TRUE(restore(store, some_identity(), state));
  expect_equal(state, some_state(20));
}

INSTANTIATE_TEST_SUITE_P(Kinds, BrokenCheckpoint,
                         testing::Values("truncated", "damaged", "without manifest", "torn manifest",
                                         "without a file", "of a newer format"),
                         [](const auto& kind) {
                           std::string name = kind.param;
                           std::ranges::replace(name, ' ', '_');
                           return name;
                         });

// Every byte of the manifest, whose numbers no other file could contradict; every 16 bytes of the others.
TEST(Checkpoint, DamageAnywhereIsNoticedAndTheOneBeforeIsUsed) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  store.write(some_state(10), some_identity());
  store.write(some_state(20), some_identity());
  const auto expect_the_one_before = [&](const std::string& what) {
    testing::internal::CaptureStderr();
    TrainingState state(kShape);
    const bool found = restore(store, some_identity(), state);
    const std::string log = testing::internal::GetCapturedStderr();
    ASSERT_TRUE(found) << what;
    ASSERT_EQ(state.step, 10) << what;
    ASSERT_NE(log.find("step-000000020 is broken and passed over"), std::string::npos) << what << log;
  };
  int places = 0;
  for (const char* name : {"manifest.json", "model.safetensors", "optimizer.safetensors"}) {
    const fs::path file = store.folder_of(20) / name;
    const std::string whole = base::read_file(file);
    const std::size_t stride = std::string(name) == "manifest.json" ? 1 : 16;
    for (std::size_t at = 0; at < whole.size(); at += stride, ++places) {
      const std::string where = name + std::string(", byte ") + std::to_string(at);
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << (places % 7)));
      std::ofstream(file, std::ios::binary) << damaged;
      ASSERT_NO_FATAL_FAILURE(expect_the_one_before(where + " flipped"));
      std::ofstream(file, std::ios::binary) << whole.substr(0, at);
      ASSERT_NO_FATAL_FAILURE(expect_the_one_before(where + " and the rest cut off"));
    }
    std::ofstream(file, std::ios::binary) << whole << ' ';
    ASSERT_NO_FATAL_FAILURE(expect_the_one_before(name + std::string(" with a byte more")));
    std::ofstream(file, std::ios::binary) << whole;
  }
  EXPECT_GT(places, 1000);
  TrainingState state(kShape);
  EXPECT_TRUE(restore(store, some_identity(), state));
  EXPECT_EQ(state.step, 20) << "undamaged again";
}

TEST(Checkpoint, ABrokenOneDoesNotTakeAGoodOnesPlace) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  store.write(some_state(10), some_identity());
  store.write(some_state(20), some_identity());
  damage(store.folder_of(20) / "model.safetensors");
  store.write(some_state(15), some_identity());
  EXPECT_TRUE(fs::exists(store.folder_of(10)));
  EXPECT_TRUE(fs::exists(store.folder_of(15)));
  EXPECT_FALSE(fs::exists(store.folder_of(20)));
}

TEST(Checkpoint, WhereAllAreBrokenThereIsNone) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  store.write(some_state(10), some_identity());
  damage(store.folder_of(10) / "model.safetensors");
  TrainingState state(kShape);
  EXPECT_FALSE(restore(store, some_identity(), state));
  EXPECT_EQ(state.step, 0);
}

TEST(Checkpoint, HalfWrittenFoldersAreNoCheckpointsAndAreTidiedAway) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  const fs::path stale = folder.path() / "checkpoints" / ".step-000000030.tmp-1";
  fs::create_directories(stale);
  TrainingState state(kShape);
  EXPECT_FALSE(restore(store, some_identity(), state));
  EXPECT_FALSE(fs::exists(stale));
}

TEST(Checkpoint, OfOtherSettingsIsRefusedByTheKeyThatDiffers) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  store.write(some_state(10), some_identity());
  Identity other = some_identity();
  other.config_text = "[train]\nepochs = 4\nthreads = 1\n";
  EXPECT_NE(refusal<base::UsageError>(store, other).find("train.epochs = 3"), std::string::npos);
  other = some_identity();
  other.config_text = "[train]\nepochs = 3\nthreads = 16\n";  // no bit depends on it
  EXPECT_EQ(refusal<base::UsageError>(store, other), "no such error");
  other = some_identity();
  other.engine = "quadratic/baseline";
  EXPECT_NE(refusal<base::UsageError>(store, other).find("quadratic/avx2"), std::string::npos);
  other = some_identity();
  other.inputs["split"] = "ee";
  EXPECT_NE(refusal<base::DataError>(store, other).find("another split"), std::string::npos);
}

TEST(Checkpoint, GoesOnBetweenProcessorAndGpuWithAWarning) {
  for (const auto& [from, to] :
       {std::pair("linear/avx2", "linear/cuda"), std::pair("tensor/cuda", "linear/avx512")}) {
    const mgrn::test::TemporaryDirectory folder;
    CheckpointStore store(folder.path(), 2);
    Identity identity = some_identity();
    identity.engine = from;
    store.write(some_state(10), identity);
    identity.engine = to;
    testing::internal::CaptureStderr();
    TrainingState state(kShape);
    EXPECT_TRUE(restore(store, identity, state));
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_NE(log.find(std::string("made by engine ") + from + ", this is " + to), std::string::npos) << log;
    expect_equal(state, some_state(10));
  }
}

TEST(Checkpoint, TellsTheNewestEngineThatCanBeRead) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  EXPECT_EQ(store.newest_engine(), "");
  for (const auto& [step, engine] : {std::pair(10, "linear/avx2"), std::pair(20, "linear/cuda")}) {
    Identity identity = some_identity();
    identity.engine = engine;
    store.write(some_state(step), identity);
    EXPECT_EQ(store.newest_engine(), engine);
  }
  std::ofstream(store.folder_of(20) / "manifest.json") << "{";
  EXPECT_EQ(store.newest_engine(), "linear/avx2");
}

TEST(Checkpoint, OfAnotherBuildIsUsedWithAWarning) {
  const mgrn::test::TemporaryDirectory folder;
  CheckpointStore store(folder.path(), 2);
  store.write(some_state(10), some_identity());
  Identity other = some_identity();
  other.build_id = "4567";
  testing::internal::CaptureStderr();
  TrainingState state(kShape);
  EXPECT_TRUE(restore(store, other, state));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("another build"), std::string::npos);
}

}  // namespace
}  // namespace mgrn::train
