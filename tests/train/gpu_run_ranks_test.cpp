// SPDX-License-Identifier: Apache-2.0
// gpu_run_test.cpp's main promise with ranks as processes: NCCL's id travels over MPI, sums over NCCL.
#include <gtest/gtest.h>

#include <memory>

#include "fake_gpu.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/train/run.hpp"
#include "support/mpi_world.hpp"
#include "support/temporary_directory.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::train {
namespace {

namespace fake = mgrn::test::fake_gpu;
namespace fs = std::filesystem;
using mgrn::test::world;

TEST(GpuRunOverMpi, GivesTheBytesOfOneRankAlsoOnASharedGpu) {
  std::unique_ptr<mgrn::test::TemporaryDirectory> owned;
  std::string name;
  comm::agree(world(), [&] {
    if (world().rank() == 0) {
      owned = std::make_unique<mgrn::test::TemporaryDirectory>();
      test::write_tiny_inputs(owned->path());
      name = owned->path().string();
    }
  });
  const fs::path folder = comm::broadcast_text(world(), name);
  const auto settings = [&](const char* out) {
    Settings made = test::tiny_settings(folder, folder / out);
    made.device = "cuda";
    made.epochs = 1;
    made.batch = 16;
    made.micro_batch = 4;
    return made;
  };
  run_training(settings("all"), world());
  EXPECT_EQ(fake::report().destroys, world().size() > 1 ? 1 : 0);
  fake::show({"only"});
  Settings shared = settings("shared");
  shared.share_gpus = true;
  run_training(shared, world());
  EXPECT_EQ(fake::report().misuses, std::vector<std::string>());
  comm::agree(world(), [&] {
    if (world().rank() == 0) {
      const auto self = comm::make_self_communicator();
      run_training(settings("alone"), *self);
      const std::string text = test::promised_bytes(folder / "alone");
      EXPECT_EQ(test::promised_bytes(folder / "all"), text);
      EXPECT_EQ(test::promised_bytes(folder / "shared"), text);
    }
  });
}

}  // namespace
}  // namespace mgrn::train
