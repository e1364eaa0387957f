// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/program.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
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
#include "multigrnformer/comm/slurm_job.hpp"
#include "multigrnformer/comm/watchdog.hpp"

namespace mgrn::cli {
namespace {

// A closed standard stream's number would go to the first file that is opened, and results into that file.
// Standard output is opened for reading: writing to it then fails, and is said, as with a full disk.
void keep_standard_streams() {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    if (::fcntl(stream, F_GETFD) < 0 && errno == EBADF) {
      ::open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    }
  }
}

// A parent that ignores SIGCHLD hands that down. The kernel then collects children by itself, and whoever
// waits for one (tasks of their own process, gnuplot, squeue) never hears how it ended.
void keep_children() {
  std::signal(SIGCHLD, SIG_DFL);
}

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

// A batch script that forgets srun would train on one rank for days while the others' cores are paid for.
void require_ranks_of_job(const comm::Communicator& world) {
  const auto job = comm::find_slurm_job();
  if (!job) {
    return;
  }
  if (const auto fault = comm::started_alone(*job, world.backend(), world.size())) {
    throw base::CommunicationError(*fault);
  }
  if (job->tasks > 0 && job->tasks != world.size()) {
    base::warn("Slurm job " + job->id + " has " + std::to_string(job->tasks) + " tasks, and " +
               std::to_string(world.size()) + (world.size() == 1 ? " rank runs" : " ranks run"));
  }
}

int run_on_rank(const std::vector<std::string>& arguments, comm::Communicator& world, const Drill& drill) {
  Invocation invocation;
  comm::agree(world, [&] { parse(arguments, invocation); });
  if (invocation.command == nullptr || !invocation.text.empty()) {
    print_result(world, invocation.text);
    return static_cast<int>(base::ExitCode::done);
  }
  Config& config = invocation.config;
  const bool all_speak = config.log_rank == "all";
  base::start_log(level_named(config.log_level), world.rank() == 0 || all_speak,
                  all_speak ? "rank " + std::to_string(world.rank()) + ": " : "");
  comm::require_same(world, "command and configuration",
                     config.command + "\nout = " + config.out.string() + "\ncompare-collectives = " +
                         (config.watch.compare ? "yes" : "no") + "\n" + config.train.config_text);
  comm::WatchSettings watch = config.watch;
  watch.folder = config.out;
  comm::watch(world, watch);
  if (invocation.command->on_all_ranks) {
    comm::agree(world, [&] { require_ranks_of_job(world); });
  }
  std::unique_ptr<comm::Communicator> before;
  if (drill.begin) {
    comm::agree(world, [&] { before = drill.begin(world, config.hooks); });
  }
  invocation.command->run(config, before ? *before : world);
  return static_cast<int>(base::ExitCode::done);
}

}  // namespace

int run_program(int argc, char** argv, const Drill& drill) {
  keep_standard_streams();
  keep_children();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  // First of all: a signal that came before would end the program as a crash, and the job with it.
  base::watch_stop_signals();
  try {
    comm::MpiSession session;
    return session.run([&](comm::Communicator& world) { return run_on_rank(arguments, world, drill); },
                       report);
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
