// SPDX-License-Identifier: Apache-2.0
// A whole run on the machine's GPUs, ranks sharing them where there are fewer. Skips, with the reason, where
// the kernels, NCCL or a GPU are missing.
#include <gtest/gtest.h>

#include <cctype>

#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/nccl.hpp"
#include "multigrnformer/model/devices.hpp"
#include "multigrnformer/train/run.hpp"
#include "support/mpi_world.hpp"
#include "train/shared_tiny_folder.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::train {
namespace {

using mgrn::test::world;

bool starts_with_number(const std::string& text) {
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) != 0;
}

TEST(GpuRunOnTheMachinesGpus, GivesTheBytesOfOneRank) {
  // One host: all ranks see the same.
  if (const std::string cuda = model::describe_cuda(); !starts_with_number(cuda)) {
    GTEST_SKIP() << cuda;
  }
  if (const std::string nccl = comm::describe_nccl(); world().size() > 1 && !starts_with_number(nccl)) {
    GTEST_SKIP() << "NCCL: " << nccl;
  }
  const test::SharedTinyFolder folder;
  const auto settings = [&](const char* out) {
    Settings made = test::tiny_settings(folder.path(), folder / out);
    made.device = "cuda";
    made.share_gpus = true;
    made.collective_limit_s = 60;
    return made;
  };
  run_training(settings("all"), world());
  Settings automatic = settings("auto");
  automatic.device = "auto";
  run_training(automatic, world());
  comm::agree(world(), [&] {
    if (world().rank() == 0) {
      const auto self = comm::make_self_communicator();
      run_training(settings("alone"), *self);
      EXPECT_EQ(test::promised_bytes(folder / "all"), test::promised_bytes(folder / "alone"));
      EXPECT_EQ(test::promised_bytes(folder / "auto"), test::promised_bytes(folder / "alone"));
      EXPECT_NE(model::gpu_name(0).find("(sm_"), std::string::npos) << model::gpu_name(0);
    }
  });
}

}  // namespace
}  // namespace mgrn::train
