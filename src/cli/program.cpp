// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/program.hpp"

#include <cstdio>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/base/stop_signal.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/cli/parse.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/mpi_session.hpp"

namespace mgrn::cli {
namespace {

void report(const base::Error& error) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s\n", error.what());
}

base::LogLevel level_named(const std::string& name) {
  return name == "debug"     ? base::LogLevel::debug
         : name == "warning" ? base::LogLevel::warning
         : name == "error"   ? base::LogLevel::error
                             : base::LogLevel::info;
}

int run_on_rank(const std::vector<std::string>& arguments, comm::Communicator& world) {
  Invocation invocation;
  comm::agree(world, [&] { parse(arguments, invocation); });
  if (invocation.command == nullptr || !invocation.text.empty()) {
    print_result(world, invocation.text);
    return static_cast<int>(base::ExitCode::done);
  }
  const Config& config = invocation.config;
  const bool all_speak = config.log_rank == "all";
  base::start_log(level_named(config.log_level), world.rank() == 0 || all_speak,
                  all_speak ? "rank " + std::to_string(world.rank()) + ": " : "");
  comm::require_same(world, "command and configuration",
                     config.command + "\nout = " + config.out.string() + "\n" + config.train.config_text);
  base::watch_stop_signals();
  invocation.command->run(invocation.config, world);
  return static_cast<int>(base::ExitCode::done);
}

}  // namespace

int run_program(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    comm::MpiSession session;
    return session.run([&](comm::Communicator& world) { return run_on_rank(arguments, world); }, report);
  } catch (const base::Error& error) {
    report(error);
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    report(base::InternalError({.what = error.what(),
                                .hint = "this is a defect: please report it with the "
                                        "command line"}));
    return static_cast<int>(base::ExitCode::internal);
  }
}

}  // namespace mgrn::cli
