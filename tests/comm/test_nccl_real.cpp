// SPDX-License-Identifier: Apache-2.0
// The real libraries, as far as the machine has them. With a GPU: the contract of all communicators, ranks
// beyond the number of GPUs sharing them. Without: the libraries open, and what follows is an error with a
// name.
#include "communicator_contract.hpp"
#include "multigrnformer/comm/nccl.hpp"
#include "support/mpi_world.hpp"

namespace mgrn::comm {
namespace {

using mgrn::test::world;

/// Why there can be no real NCCL on some rank; empty where there can. Collective.
std::string missing() {
  std::string mine;
  try {
    const std::string nccl = describe_nccl();
    mine = !std::isdigit(static_cast<unsigned char>(nccl.front())) ? "no NCCL: " + nccl
           : visible_gpus().empty()                                ? "no GPU"
                                                                   : "";
  } catch (const base::UsageError& error) {
    mine = "no GPU: " + error.text().got;
  }
  for (const auto& bytes : world().all_gather(to_bytes(std::span<const char>(mine)))) {
    const auto letters = from_bytes<char>(bytes);
    if (!letters.empty()) {
      return {letters.begin(), letters.end()};
    }
  }
  return "";
}

World real_nccl() {
  return {"nccl",
          [](const std::function<void(Communicator&)>& program) {
            const GpuBinding mine = bind_gpu(world(), visible_gpus(), GpuSharing::allowed);
            const auto nccl =
                make_nccl_communicator(world(), {.device = mine.device, .sharing = GpuSharing::allowed});
            program(*nccl);
            nccl->close();
          },
          missing};
}

INSTANTIATE_TEST_SUITE_P(RealNccl, CommunicatorContract, testing::Values(real_nccl()), name_of);

TEST(RealNccl, WithoutAGpuEveryRankGetsAnErrorWithAName) {
  const std::string reason = missing();
  if (reason.empty() || reason.substr(0, 7) == "no NCCL") {
    GTEST_SKIP() << (reason.empty() ? "there is a GPU" : reason);
  }
  // The id is made and exchanged by the real library; the first call to a device fails.
  try {
    make_nccl_communicator(world(), {.device = 0, .time_limit = std::chrono::seconds(20)});
    ADD_FAILURE() << "connected without a GPU";
  } catch (const base::CommunicationError& error) {
    EXPECT_EQ(error.text().what, "cudaSetDevice failed on GPU 0");
    EXPECT_FALSE(error.text().got.empty());
  }
  world().barrier();
}

}  // namespace
}  // namespace mgrn::comm
