// SPDX-License-Identifier: Apache-2.0
#include "comm/mpi_communicator.hpp"
#include "comm/node_memory.hpp"
#include "communicator_contract.hpp"
#include "multigrnformer/comm/mpi_session.hpp"
#include "multigrnformer/comm/parallel_hdf5.hpp"
#include "support/mpi_world.hpp"

namespace mgrn::comm {
namespace {

World mpi_world() {
  return {"mpi", [](const std::function<void(Communicator&)>& program) { program(mgrn::test::world()); }};
}

// Every message in pieces: what counts beyond 2^31 need, at sizes a test can afford.
World mpi_world_in_chunks(std::size_t bytes) {
  return {"chunks" + std::to_string(bytes), [bytes](const std::function<void(Communicator&)>& program) {
            const auto chunked = with_chunk_bytes(mgrn::test::world(), bytes);
            program(*chunked);
          }};
}

INSTANTIATE_TEST_SUITE_P(Mpi, CommunicatorContract,
                         testing::Values(mpi_world(), mpi_world_in_chunks(1), mpi_world_in_chunks(24)),
                         name_of);

TEST(MpiWorld, IsTheMpiBackendWithParallelHdf5) {
  EXPECT_EQ(mgrn::test::world().backend(), "mpi");
  EXPECT_TRUE(has_parallel_hdf5(mgrn::test::world()));
  const hid_t access = parallel_file_access(mgrn::test::world());
  EXPECT_GE(access, 0);
  H5Pclose(access);
}

// Where ranks do not see one another's processes, MPI's window takes the place of the shared file.
TEST(MpiWorld, BothWaysToShareMemoryAreSeenByAllRanks) {
  const auto node = mgrn::test::world().split_by_node();
  const MPI_Comm handle = as_mpi(*node)->handle();
  const auto file = share_anonymous_file(handle, 4097);
  EXPECT_TRUE(file.has_value());
  for (const SharedMemory& memory : {file.value_or(SharedMemory()), share_window(handle, 4097)}) {
    EXPECT_EQ(memory.bytes().size(), 4097U);
    if (node->rank() == node->size() - 1 && !memory.bytes().empty()) {
      memory.bytes().back() = std::byte{77};
    }
    node->barrier();
    EXPECT_EQ(memory.bytes().back(), std::byte{77});
    node->barrier();
  }
}

TEST(MpiWorld, TheChunkSizeIsInheritedBySplits) {
  const auto chunked = with_chunk_bytes(mgrn::test::world(), 3);
  const auto part = chunked->split(0);
  std::vector<std::int64_t> values(100, 1);
  part->all_reduce(std::span<std::int64_t>(values), Reduction::sum);
  EXPECT_EQ(values, std::vector<std::int64_t>(100, mgrn::test::world().size()));
}

}  // namespace
}  // namespace mgrn::comm
