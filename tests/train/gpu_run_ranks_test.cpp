// SPDX-License-Identifier: Apache-2.0
// gpu_run_test.cpp's main promise with ranks as processes: NCCL's id travels over MPI, sums over NCCL.
#include <gtest/gtest.h>

#include "fake_gpu.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/train/run.hpp"
#include "support/mpi_world.hpp"
#include "train/shared_tiny_folder.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::train {
namespace {

namespace fake = mgrn::test::fake_gpu;
using mgrn::test::world;

TEST(GpuRunOverMpi, GivesTheBytesOfOneRankAlsoOnASharedGpu) {
  const test::SharedTinyFolder folder;
  const auto settings = [&](const char* out) {
    Settings made = test::tiny_settings(folder.path(), folder / out);
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
