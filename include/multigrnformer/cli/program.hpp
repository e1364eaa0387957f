// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/train/hooks.hpp"

namespace mgrn::cli {

/// Where a fault drill, which is a program of its own, reaches into this one. Empty in normal use.
struct Drill {
  /// Called on each rank, once, before its command runs. May put a communicator before the world's and fill
  /// the hooks.
  std::function<std::unique_ptr<comm::Communicator>(comm::Communicator& world, train::Hooks& hooks)> begin =
      {};
};

/// The whole program: parse, start communication, run the command, report errors. Returns the exit code.
int run_program(int argc, char** argv, const Drill& drill = {});

}  // namespace mgrn::cli
