// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "golden_case.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/prepare/prepare.hpp"
#include "support/mpi_world.hpp"
#include "support/shared_data.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::prepare {
namespace {

// Prepares together under MPI, and on rank 0 alone; the contents must be equal.
void expect_same_as_alone(Settings settings) {
  comm::Communicator& world = test::world();
  test::TemporaryDirectory folder;
  const std::string shared = comm::broadcast_text(world, folder.path().string());
  settings.out = std::filesystem::path(shared) / "together.h5";
  const Report together = prepare(settings, world);
  if (world.rank() == 0) {
    Settings own = settings;
    own.out = folder / "alone.h5";
    const auto self = comm::make_self_communicator();
    const Report alone = prepare(own, *self);
    EXPECT_EQ(together.id, alone.id);
    EXPECT_EQ(together.quality, alone.quality);
    EXPECT_TRUE(test::content_of(settings.out) == test::content_of(own.out));
  }
  world.barrier();
}

TEST(PrepareUnderMpi, GivesTheSameDatasetAsAlone) {
  expect_same_as_alone(test::golden_settings({}));
}

TEST(PrepareUnderMpi, GivesTheSameDatasetAsAloneFromTenxHdf5) {
  Settings settings;
  settings.rna = test::real_data("pbmc_10x_40cells/feature_bc_matrix.h5");
  settings.annotation = test::real_data("annotation/hg38.approx.gtf.gz");
  MGRN_REQUIRE_REAL_DATA(settings.rna);
  expect_same_as_alone(settings);
}

TEST(PrepareUnderMpi, AnErrorReachesEveryRank) {
  Settings settings = test::golden_settings("/nowhere/d.h5");
  settings.rna = "/no/such/file.h5";
  EXPECT_THROW(prepare(settings, test::world()), base::DataError);
}

}  // namespace
}  // namespace mgrn::prepare
