// SPDX-License-Identifier: Apache-2.0
// A program that ends in the ways a program can end; test_session.cpp starts it with and without mpiexec
// and looks at exit code and messages.
#include <mpi.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/mpi_session.hpp"

namespace {

using mgrn::comm::Communicator;

// Enters a collective that cannot complete; says so, so that a test knows that it came this far.
void wait_in_vain(Communicator& world) {
  std::fputs("waiting\n", stderr);
  world.barrier();
}

int act(const std::string& way, Communicator& world) {
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
  const bool always = argc > 2 && std::string(argv[2]) == "always";
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
    return session.run([&](Communicator& world) { return act(way, world); }, {}, 1.0);
  } catch (const mgrn::base::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
}
