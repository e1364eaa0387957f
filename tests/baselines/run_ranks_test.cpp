// SPDX-License-Identifier: Apache-2.0
// Every method that scores pairs over MPI and alone: all bytes of the folder but run_info.json.
#include <gtest/gtest.h>

#include "multigrnformer/baselines/method.hpp"
#include "multigrnformer/baselines/run.hpp"
#include "support/mpi_world.hpp"
#include "train/shared_tiny_folder.hpp"

namespace mgrn::baselines {
namespace {

using mgrn::test::world;

TEST(BaselineOverMpi, GivesTheBytesOfOneRank) {
  const train::test::SharedTinyFolder folder;
  for (const auto& method : methods()) {
    if (!std::holds_alternative<PrepareScorer>(method.work)) {
      continue;
    }
    const Options options{.method = method.name};
    auto settings = train::test::tiny_settings(folder.path(), folder.path() / (method.name + "-all"));
    settings.threads = 2;
    run_baseline(settings, options, world());
    comm::agree(world(), [&] {
      if (world().rank() == 0) {
        const auto self = comm::make_self_communicator();
        const auto alone = train::test::tiny_settings(folder.path(), folder.path() / method.name);
        run_baseline(alone, options, *self);
        for (const char* file : {"split.csv", "predictions.csv", "rankedEdges.csv", "result.json"}) {
          EXPECT_EQ(base::read_file(settings.out / file), base::read_file(alone.out / file))
              << method.name << ", " << file;
        }
      }
    });
  }
}

}  // namespace
}  // namespace mgrn::baselines
