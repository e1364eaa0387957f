// SPDX-License-Identifier: Apache-2.0
// Ranks that meet over NCCL (the fake one), or do not; nccl_session_test.cpp starts it under mpiexec and
// looks at exit code and messages.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "fake_gpu.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/mpi_session.hpp"
#include "multigrnformer/comm/nccl.hpp"
#include "multigrnformer/comm/watchdog.hpp"

namespace {

namespace fake = mgrn::test::fake_gpu;
using fake::Site;
using mgrn::comm::Communicator;
using mgrn::comm::Reduction;

int act(const std::string& way, Communicator& world) {
  const bool last = world.rank() == world.size() - 1;
  mgrn::comm::NcclOptions options{.device = world.rank(),
                                  .time_limit = std::chrono::seconds(3),
                                  .abort_limit = std::chrono::milliseconds(500)};
  mgrn::comm::watch(world, {.limit_s = 3, .compare = way == "compared"});
  if (way == "connecting" && last) {
    fake::fail_later(Site::init, 6);
  }
  if (way == "hanging-abort") {  // alone: nobody watches
    fake::hang(Site::abort);
    options.time_limit = std::chrono::milliseconds(500);
  }
  const auto nccl = make_nccl_communicator(world, options);
  std::vector<std::int64_t> values(10, 1);
  const auto sum = [&] { nccl->all_reduce_on_device(std::span<std::int64_t>(values), Reduction::sum); };
  sum();
  if (way == "stopped") {
    if (last) {
      std::raise(SIGSTOP);
    }
    sum();
  } else if (way == "hanging" || way == "hanging-abort") {
    if (last) {
      fake::hang(Site::collective);
    }
    sum();
  } else if (way == "elsewhere" || way == "compared") {
    last ? world.barrier() : sum();
  }
  nccl->close();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string way = argc > 1 ? argv[1] : "";
  mgrn::comm::MpiSession session;
  const int code = session.run([&](Communicator& world) { return act(way, world); });
  std::fputs("ended\n", stderr);
  return code;
}
