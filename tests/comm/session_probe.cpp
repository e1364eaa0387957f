// SPDX-License-Identifier: Apache-2.0
// A program that ends in the ways a program can end; test_session.cpp starts it with and without mpiexec
// and looks at exit code and messages.
#include <mpi.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/mpi_session.hpp"
#include "multigrnformer/comm/parallel_hdf5.hpp"
#include "multigrnformer/comm/watchdog.hpp"

namespace {

using mgrn::comm::Communicator;

// Enters a collective that cannot complete; says so, so that a test knows that it came this far.
void wait_in_vain(Communicator& world) {
  std::fputs("waiting\n", stderr);
  world.barrier();
}

// Ways to keep the others waiting in a collective with a limit of three seconds, `late` of six. `folder` may
// be empty.
int keep_waiting(const std::string& way, const std::string& folder, Communicator& world) {
  const bool last = world.rank() == world.size() - 1;
  mgrn::comm::watch(world,
                    {.limit_s = way == "late" ? 6.0 : 3.0, .compare = way == "compared", .folder = folder});
  std::vector<std::int64_t> values(10, 1);
  for (int i = 0; i < 100; ++i) {
    world.all_reduce(std::span<std::int64_t>(values), mgrn::comm::Reduction::maximum);
  }
  if (way == "stopped") {
    if (last) {
      std::raise(SIGSTOP);
    }
    world.all_reduce(std::span<std::int64_t>(values), mgrn::comm::Reduction::sum);
  } else if (way == "stopped-in-part") {  // the first rank is in no part that waits
    const auto part = world.split(world.rank() == 0 ? 0 : 1);
    if (last) {
      std::raise(SIGSTOP);
    }
    if (world.rank() > 0) {
      part->barrier();
    }
    std::this_thread::sleep_for(std::chrono::seconds(30));
  } else if (way == "elsewhere") {
    const auto part = world.split(0);
    if (last) {
      part->barrier();
    } else {
      world.all_reduce(std::span<std::int64_t>(values), mgrn::comm::Reduction::sum);
    }
  } else if (way == "mixed" || way == "compared") {
    if (last) {
      world.barrier();
    } else {
      world.all_reduce(std::span<std::int64_t>(values), mgrn::comm::Reduction::sum);
    }
  } else if (way == "ended") {
    if (!last) {
      world.barrier();
    }
  } else if (way == "making") {  // in a call that MPI cannot be polled for
    if (last) {
      std::raise(SIGSTOP);
    }
    world.split(0);
  } else if (way == "file") {  // as in MPI-IO: a call that does not come back, and that nobody polls for
    if (last) {
      std::raise(SIGSTOP);
    }
    const mgrn::comm::CollectiveAccess access(world);
    MPI_Barrier(MPI_COMM_WORLD);
  } else if (way == "late") {  // past the limit, but within the grace
    if (last) {
      std::this_thread::sleep_for(std::chrono::milliseconds(6750));
    }
    world.barrier();
    std::printf("done\n");
  }
  return 0;
}

int act(const std::string& way, const std::string& argument, Communicator& world) {
  if (way.rfind("wait:", 0) == 0) {
    return keep_waiting(way.substr(5), argument, world);
  }
  const bool last = world.rank() == world.size() - 1;
  const mgrn::base::ErrorText text{.what = "matrix is wrong", .file = "in.h5", .hint = "repair it"};
  if (way == "who") {
    int started = 0;
    MPI_Initialized(&started);
    std::printf("%s %d of %d, MPI %s\n", world.backend().c_str(), world.rank(), world.size(),
                started != 0 ? "started" : "not started");
  } else if (way == "agreed") {
    mgrn::comm::agree(world, [&] {
      if (last) {
        throw mgrn::base::DataError(text);
      }
    });
  } else if (way == "everywhere") {
    throw mgrn::base::UsageError(text);
  } else if (way == "alone") {
    if (last) {
      throw mgrn::base::DataError(text);
    }
    wait_in_vain(world);
  } else if (way == "alone-late") {  // the others have ended already
    if (last) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      throw std::runtime_error("matrix is wrong");
    }
  } else if (way == "code") {
    return last ? 75 : 0;
  } else if (way == "killed") {
    if (last) {
      std::raise(SIGKILL);
    }
    wait_in_vain(world);
  } else if (way == "abort") {
    if (last) {
      world.abort(mgrn::base::ExitCode::numeric);
    }
    wait_in_vain(world);
  } else if (way == "part") {  // an error in one of two parts, while the other part waits in the world
    const auto part = world.split(last ? 1 : 0);
    if (last) {
      throw mgrn::base::NumericError(text);
    }
    part->barrier();
    wait_in_vain(world);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string way = argc > 1 ? argv[1] : "";
  const std::string argument = argc > 2 ? argv[2] : "";
  const bool always = argument == "always";
  try {
    mgrn::comm::MpiSession session(always ? mgrn::comm::MpiStart::always
                                          : mgrn::comm::MpiStart::when_launched);
    if (way == "unwinding") {  // not through run(): the destructor alone must end the others
      if (session.world().rank() == session.world().size() - 1) {
        throw mgrn::base::DataError({.what = "matrix is wrong"});
      }
      wait_in_vain(session.world());
      return 0;
    }
    return session.run([&](Communicator& world) { return act(way, argument, world); }, {}, 1.0);
  } catch (const mgrn::base::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
}
