// SPDX-License-Identifier: Apache-2.0
// The NCCL communicator over MPI against the fake library: ranks are processes, as they are on a cluster.
#include <cstdlib>

#include "communicator_contract.hpp"
#include "fake_gpu.hpp"
#include "multigrnformer/comm/nccl.hpp"
#include "support/mpi_world.hpp"

namespace mgrn::comm {
namespace {

namespace fake = mgrn::test::fake_gpu;
using mgrn::test::world;

void expect_clean() {
  const fake::Report report = fake::report();
  EXPECT_EQ(report.misuses, std::vector<std::string>());
  EXPECT_EQ(report.communicators + report.streams + report.allocations, 0);
}

World nccl_over_mpi() {
  return {"nccl", [](const std::function<void(Communicator&)>& program) {
            const auto nccl = make_nccl_communicator(world(), {.device = world().rank()});
            program(*nccl);
            nccl->close();
            expect_clean();
          }};
}

INSTANTIATE_TEST_SUITE_P(FakeNcclOverMpi, CommunicatorContract, testing::Values(nccl_over_mpi()), name_of);

// The last one of the file: NCCL_HOSTID stays set.
TEST(NcclOverMpi, RanksShareAGpuUnderHostIdsOfTheirOwn) {
  fake::show({"only"});
  std::string refusal;
  try {
    bind_gpu(world(), visible_gpus(), GpuSharing::refused);
  } catch (const base::UsageError& error) {
    refusal = error.text().what;
  }
  EXPECT_EQ(refusal.empty(), world().size() == 1) << refusal;
  const GpuBinding mine = bind_gpu(world(), visible_gpus(), GpuSharing::allowed);
  EXPECT_EQ(mine.uuid, fake::uuid_of("only"));
  const auto nccl = make_nccl_communicator(world(), {.device = mine.device, .sharing = GpuSharing::allowed});
  std::vector<std::int64_t> values{1};
  nccl->all_reduce(std::span<std::int64_t>(values), Reduction::sum);
  EXPECT_EQ(values[0], world().size());
  nccl->close();
  EXPECT_STREQ(std::getenv("NCCL_HOSTID"), (host_name() + "-" + std::to_string(world().rank())).c_str());
  expect_clean();
  fake::reset_thread();
}

}  // namespace
}  // namespace mgrn::comm
