// SPDX-License-Identifier: Apache-2.0
// CNNC and STGRNS over MPI and alone: rank 0 repeats the run on one rank and compares all promised bytes.
#include <gtest/gtest.h>

#include "baselines/tiny_neural_run.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/train/run.hpp"
#include "support/mpi_world.hpp"
#include "train/shared_tiny_folder.hpp"

namespace mgrn::baselines {
namespace {

using mgrn::test::world;

TEST(NeuralRunOverMpi, GivesTheBytesOfOneRankAlsoWhenResumed) {
  const train::test::SharedTinyFolder folder;
  for (const std::string method : {"cnnc", "stgrns"}) {
    const auto settings = [&](const std::string& out) {
      return test::tiny_neural_settings(method, folder.path(), folder.path() / (method + out));
    };
    train::run_training(settings("-all"), world());
    bool stopped = false;
    try {
      train::run_training(settings("-resumed"), world(), {.stop_after_step = 3});
    } catch (const base::Stopped&) {
      stopped = true;
    }
    EXPECT_TRUE(stopped);
    comm::agree(world(), [&] {
      if (world().rank() == 0) {
        const auto self = comm::make_self_communicator();
        train::run_training(settings("-resumed"), *self);
        train::run_training(settings("-alone"), *self);
        const std::string text = train::test::promised_bytes(folder.path() / (method + "-alone"));
        EXPECT_EQ(train::test::promised_bytes(folder.path() / (method + "-all")), text);
        EXPECT_EQ(train::test::promised_bytes(folder.path() / (method + "-resumed")), text);
      }
    });
  }
}

}  // namespace
}  // namespace mgrn::baselines
