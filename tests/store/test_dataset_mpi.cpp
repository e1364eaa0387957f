// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <hdf5.h>

#include <fstream>
#include <optional>

#include "example_dataset.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/parallel_hdf5.hpp"
#include "support/mpi_world.hpp"
#include "support/shared_folder.hpp"

namespace mgrn::store {
namespace {

using test::SharedFolder;
using test::world;

TEST(DatasetMpi, IsTheSameFromAnyNumberOfRanks) {
  ASSERT_TRUE(comm::has_parallel_hdf5(world()));
  const SharedFolder folder;
  const Example example;
  write_example(world(), folder / "all.h5", example);
  // Written by one rank without MPI-IO, in other blocks.
  Example others = example;
  others.block = 77;
  comm::agree(world(), [&] {
    if (world().rank() == 0) {
      const auto self = comm::make_self_communicator();
      write_example(*self, folder / "self.h5", others);
    }
  });
  {
    const Dataset dataset(folder / "all.h5");  // every rank reads
    const Dataset reference(folder / "self.h5");
    EXPECT_EQ(dataset.checksums(), reference.checksums());
    EXPECT_NO_THROW(dataset.verify());
    EXPECT_EQ(dataset.header().genes, example_header(example).genes);
    EXPECT_EQ(dataset.header().quality, example_header(example).quality);
    for (const Layer layer : {Layer::rna, Layer::rp}) {
      for (std::uint32_t gene = 0; gene < example.genes; ++gene) {
        const GeneRow expected = example_row(example, layer, gene);
        const GeneRow row = dataset.row(layer, gene);
        EXPECT_TRUE(row.cell == expected.cell && row.value == expected.value && row.count == expected.count)
            << "gene " << gene;
      }
    }
  }
  world().barrier();
  if (world().rank() == 0) {
    EXPECT_EQ(names_in(folder.path()), (std::vector<std::string>{"all.h5", "self.h5"}));
  }
}

TEST(DatasetMpi, MayBeEmpty) {
  const SharedFolder folder;
  write_example(world(), folder / "d.h5", {.genes = 0, .cells = 0});
  EXPECT_NO_THROW(Dataset(folder / "d.h5").verify());
}

TEST(DatasetMpi, MayBeWrittenByAPartOfTheRanks) {
  const SharedFolder folder;
  const auto part = world().split(world().rank() % 2);
  const auto file = folder / ("part" + std::to_string(world().rank() % 2) + ".h5");
  const Example example{.genes = 40, .cells = 300};
  write_example(*part, file, example);
  EXPECT_NO_THROW(Dataset(file).verify());
}

TEST(DatasetMpi, WrongRowsOnOneRankAreAnErrorOnAllAndLeaveNothing) {
  const SharedFolder folder;
  const Example example;
  int rank = -1;
  try {
    DatasetWriter writer(world(), folder / "d.h5");
    append_example(world(), writer, example, Layer::rna);
    GeneRows rows;
    if (world().rank() == world().size() - 1) {
      rows = example_rows(example, Layer::rp, 0, 5);
      rows.value.pop_back();
    }
    writer.append(Layer::rp, rows);
  } catch (const base::InternalError& error) {
    rank = error.rank();
  }
  EXPECT_EQ(rank, world().size() - 1);
  if (world().rank() == 0) {
    EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{});
  }
}

TEST(DatasetMpi, AHeaderThatDiffersIsRefused) {
  const SharedFolder folder;
  const Example example{.genes = 5, .cells = 6};
  bool refused = false;
  try {
    DatasetWriter writer(world(), folder / "d.h5");
    append_example(world(), writer, example, Layer::rna);
    append_example(world(), writer, example, Layer::rp);
    auto header = example_header(example);
    header.variance[3] += world().rank() == 0 ? 0.0 : 1.0;
    writer.finish(header);
  } catch (const base::InternalError&) {
    refused = true;
  }
  EXPECT_EQ(refused, world().size() > 1);
}

TEST(DatasetMpi, AWriterLeftWithoutFinishingLeavesNothingAndDoesNotHang) {
  const SharedFolder folder;
  {
    DatasetWriter writer(world(), folder / "d.h5");
    append_example(world(), writer, {}, Layer::rna);
  }
  world().barrier();
  if (world().rank() == 0) {
    EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{});
  }
}

TEST(DatasetMpi, AFolderThatIsNotThereIsAnOutputErrorOnEveryRank) {
  const SharedFolder folder;
  bool caught = false;
  try {
    DatasetWriter writer(world(), folder / "none/d.h5");
  } catch (const base::OutputError& error) {
    caught = std::string(error.what()).find("No such file or directory") != std::string::npos;
  }
  EXPECT_TRUE(caught);
}

TEST(DatasetMpi, OnAFullDiskEveryRankGetsAnOutputErrorAndNothingIsLeft) {
  const SharedFolder folder;
  std::optional<SmallDisk> disk;
  if (world().rank() == 0) {
    disk.emplace(folder / "small", "3m");
  }
  const std::string reason = comm::broadcast_text(world(), disk && !disk->mounted() ? disk->reason() : "");
  if (!reason.empty()) {
    GTEST_SKIP() << "a small file system is needed: " << reason;
  }
  bool caught = false;
  try {
    write_example(world(), folder / "small/d.h5");
  } catch (const base::OutputError& error) {
    caught = error.code() == base::ExitCode::output;
  }
  EXPECT_TRUE(caught);
  world().barrier();
  if (world().rank() == 0) {
    EXPECT_EQ(names_in(folder / "small"), std::vector<std::string>{});
  }
  // The disk is free again, and HDF5 still works.
  const Example small{.genes = 5, .cells = 6};
  world().barrier();
  write_example(world(), folder / "small/d.h5", small);
  EXPECT_NO_THROW(Dataset(folder / "small/d.h5").verify());
  world().barrier();
}

TEST(DatasetMpi, ADiskThatIsFullOnlyAtTheEndIsAnOutputErrorOnEveryRank) {
  const SharedFolder folder;
  std::optional<SmallDisk> disk;
  if (world().rank() == 0) {
    disk.emplace(folder / "small", "4m");
  }
  const std::string reason = comm::broadcast_text(world(), disk && !disk->mounted() ? disk->reason() : "");
  if (!reason.empty()) {
    GTEST_SKIP() << "a small file system is needed: " << reason;
  }
  bool caught = false;
  try {
    DatasetWriter writer(world(), folder / "small/d.h5");
    const Example example{.genes = 50, .cells = 300};
    append_example(world(), writer, example, Layer::rna);
    append_example(world(), writer, example, Layer::rp);
    if (world().rank() == 0) {
      std::ofstream(folder / "small/filler", std::ios::binary)
          << std::string(std::size_t{1} << 23U, 'x') << std::flush;
    }
    world().barrier();
    writer.finish(example_header(example));
  } catch (const base::OutputError&) {
    caught = true;
  }
  EXPECT_TRUE(caught);
  world().barrier();
  if (world().rank() == 0) {
    EXPECT_EQ(names_in(folder / "small"), std::vector<std::string>{"filler"});
    std::filesystem::remove(folder / "small/filler");
  }
  world().barrier();
  write_example(world(), folder / "small/d.h5", {.genes = 5, .cells = 6});
  EXPECT_NO_THROW(Dataset(folder / "small/d.h5").verify());
  world().barrier();
}

}  // namespace
}  // namespace mgrn::store
