// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/comm/mpi_session.hpp"

#include <mpi.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <limits>
#include <optional>
#include <string_view>
#include <thread>

#include "collective_watch.hpp"
#include "mpi_communicator.hpp"
#include "mpi_side_channel.hpp"
#include "multigrnformer/comm/topology.hpp"
#include "watched_communicator.hpp"

namespace mgrn::comm {
namespace {

int number_in(const std::optional<std::string>& text) {
  return text ? std::atoi(text->c_str()) : 0;
}

std::optional<base::Error> failure_of(const std::exception_ptr& error) {
  if (!error) {
    return std::nullopt;
  }
  try {
    std::rethrow_exception(error);
  } catch (const base::Error& known) {
    return known;
  } catch (const std::bad_alloc&) {
    return base::Error(
        base::ExitCode::internal,
        {.what = "out of memory", .hint = "give each rank more memory, or use fewer ranks per node"});
  } catch (const std::exception& other) {
    return base::Error(base::ExitCode::internal, {.what = other.what()});
  } catch (...) {
    return base::Error(base::ExitCode::internal, {.what = "an error of unknown type"});
  }
}

void report_to_stderr(const base::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
}

// Open MPI under a PMI that it was not built for ends the process inside MPI_Init_thread, past every handler
// and with exit code 1. Whether it was built for it cannot be asked, so the way out is said before.
void warn_of_foreign_launcher(const Launch& launch) {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> library{};
  int length = 0;
  const auto process = base::environment(base::Variable::slurm_process);
  if (launch.launcher == "PMI" && process && *process == "0" &&
      MPI_Get_library_version(library.data(), &length) == MPI_SUCCESS &&
      std::string_view(library.data()).find("Open MPI") != std::string_view::npos) {
    std::fputs(
        "warning: srun started Open MPI with PMI-1 or PMI-2, which few builds of it understand; if MPI fails "
        "below, start with `srun --mpi=pmix` (`srun --mpi=list` shows what there is) or with mpirun\n",
        stderr);
  }
}

}  // namespace

Launch detect_launch(const std::function<std::optional<std::string>(base::Variable)>& environment) {
  using base::Variable;
  const int slurm_tasks = number_in(environment(Variable::slurm_step_tasks));
  if (const auto size = environment(Variable::ompi_world_size)) {
    return {true, "Open MPI", number_in(size)};
  }
  if (environment(Variable::pmix_namespace)) {
    return {true, "PMIx", slurm_tasks};
  }
  if (const auto size = environment(Variable::pmi_size)) {
    return {true, "PMI", number_in(size)};
  }
  if (slurm_tasks > 1) {
    throw base::CommunicationError(
        {.what = "srun started several tasks without telling MPI about them",
         .expected = "one job of " + std::to_string(slurm_tasks) + " ranks",
         .got = std::to_string(slurm_tasks) + " tasks that do not know each other",
         .hint = "start with `srun --mpi=pmix` (`srun --mpi=list` shows what there is) or with mpirun"});
  }
  return {};
}

struct MpiSession::State {
  bool initialised_here = false;
  bool ended = false;
  int exceptions_at_start = std::uncaught_exceptions();
  MPI_Comm farewell_handle = MPI_COMM_NULL;
  MPI_Comm letters_handle = MPI_COMM_NULL;
  std::unique_ptr<Communicator> world;
  std::shared_ptr<CollectiveWatch> watch;  // null without MPI

  bool under_mpi() const { return world && world->backend() == "mpi"; }

  // Waits until every rank has come to its end. A communicator of its own, so that it never meets a
  // collective of the program; it sleeps between looks, for others may still compute on these cores.
  bool everyone_arrives(double patience_s) const {
    MPI_Request request = MPI_REQUEST_NULL;
    if (MPI_Ibarrier(farewell_handle, &request) != MPI_SUCCESS) {
      return false;
    }
    const auto start = std::chrono::steady_clock::now();
    auto pause = std::chrono::microseconds(10);
    for (;;) {
      int done = 0;
      if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) {
        return false;
      }
      if (done != 0) {
        return true;
      }
      if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > patience_s) {
        return false;
      }
      watch->waiting();
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, std::chrono::microseconds(10000));
    }
  }

  // After everyone_arrives(): all ranks are here, so collectives are safe again whatever happened before, on
  // a communicator of their own, since an error may have left messages behind in the program's. Each distinct
  // message is reported once; the exit code is that of the lowest rank that has one.
  int common_ending(int code, const base::Error* failure,
                    const std::function<void(const base::Error&)>& tell) {
    MpiCommunicator farewell(farewell_handle, MpiCommunicator::kChunkBytes);
    farewell_handle = MPI_COMM_NULL;
    // Without the rank, which the same mistake noticed by several ranks does not share.
    const std::string message =
        failure != nullptr ? base::Error(failure->code(), failure->text()).what() : "";
    const auto codes = farewell.all_gather(std::as_bytes(std::span(&code, 1)));
    const auto messages = farewell.all_gather(std::as_bytes(std::span(message)));
    const auto mine = static_cast<std::size_t>(farewell.rank());
    const bool first = std::find(messages.begin(), messages.end(), messages[mine]) ==
                       messages.begin() + static_cast<std::ptrdiff_t>(mine);
    if (failure != nullptr && first) {
      tell(*failure);
    }
    for (const auto& theirs : codes) {
      if (const int other = from_bytes<int>(theirs).at(0); other != 0) {
        return other;
      }
    }
    return 0;
  }

  // Takes over `handle`.
  void watch_world(MPI_Comm handle) {
    auto starting = std::make_unique<MpiCommunicator>(handle, MpiCommunicator::kChunkBytes);
    const std::string mine = host_name();
    std::vector<std::string> hosts;
    std::vector<int> members;
    for (const auto& theirs : starting->all_gather(std::as_bytes(std::span(mine)))) {
      const auto letters = from_bytes<char>(theirs);
      members.push_back(static_cast<int>(hosts.size()));
      hosts.emplace_back(letters.begin(), letters.end());
    }
    watch = std::make_shared<CollectiveWatch>(
        starting->rank(), std::move(hosts), make_mpi_side_channel(letters_handle),
        [](base::ExitCode code) { MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code)); });
    starting->observe(watch);
    world = std::make_unique<WatchedCommunicator>(std::move(starting), watch, "world", std::move(members));
  }

  void end() {
    ended = true;
    world.reset();
    if (watch) {
      watch->close_channel();
    }
    for (MPI_Comm* handle : {&farewell_handle, &letters_handle}) {
      if (*handle != MPI_COMM_NULL) {
        MPI_Comm_free(handle);
      }
    }
    if (initialised_here) {
      MPI_Finalize();
    }
  }
};

MpiSession::MpiSession(MpiStart start) : state_(std::make_unique<State>()) {
  const Launch launch = detect_launch();
  if (!launch.parallel && start == MpiStart::when_launched) {
    state_->world = make_self_communicator();
    return;
  }
  int initialised = 0;
  MPI_Initialized(&initialised);
  int level = MPI_THREAD_SINGLE;
  if (initialised == 0) {
    if (!launch.parallel) {
      // Open MPI would start a daemon, which needs a network, for a world that never grows.
      ::setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
    }
    warn_of_foreign_launcher(launch);
    // One thread per rank calls MPI, though not always the same one.
    check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level), "MPI_Init_thread");
    state_->initialised_here = true;
  } else {
    check_mpi(MPI_Query_thread(&level), "MPI_Query_thread");
  }
  const auto refuse = [&](base::ErrorText text) {
    state_->end();
    throw base::CommunicationError(std::move(text));
  };
  if (level < MPI_THREAD_SERIALIZED) {
    refuse({.what = "the MPI library does not support threads",
            .expected = "MPI_THREAD_SERIALIZED",
            .got = level == MPI_THREAD_FUNNELED ? "MPI_THREAD_FUNNELED" : "MPI_THREAD_SINGLE",
            .hint = "use an MPI library that was built with thread support"});
  }
  int ranks = 0;
  check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &ranks), "MPI_Comm_size");
  if (ranks == 1 && launch.ranks > 1) {
    // The launcher of one MPI with the library of another: every process would do the whole job alone.
    refuse({.what = "the launcher and the MPI library do not understand each other",
            .expected = std::to_string(launch.ranks) + " ranks, as " + launch.launcher + " promised",
            .got = "a world of one rank",
            .hint = "start with the mpirun of the MPI library that --version names, or `srun --mpi=pmix`"});
  }
  MPI_Comm handle = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &handle), "MPI_Comm_dup");
  // Of a test for several requests MPI does not say which communicator failed, and asks the world's handler.
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  for (MPI_Comm* extra : {&state_->farewell_handle, &state_->letters_handle}) {
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, extra), "MPI_Comm_dup");
    check_mpi(MPI_Comm_set_errhandler(*extra, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  }
  state_->watch_world(handle);
}

MpiSession::~MpiSession() {
  if (!state_ || state_->ended) {
    return;
  }
  if (!state_->under_mpi()) {
    state_->end();
    return;
  }
  const bool leaving_with_error = std::uncaught_exceptions() > state_->exceptions_at_start;
  if (!state_->everyone_arrives(leaving_with_error ? 2.0 : std::numeric_limits<double>::infinity())) {
    state_->world->abort(base::ExitCode::communication);
  }
  state_->end();
}

Communicator& MpiSession::world() {
  return *state_->world;
}

int MpiSession::run(const std::function<int(Communicator&)>& program,
                    const std::function<void(const base::Error&)>& report, double patience_s) {
  const auto& tell = report ? report : report_to_stderr;
  std::exception_ptr thrown;
  int code = 0;
  try {
    code = program(world());
  } catch (...) {
    thrown = std::current_exception();
  }
  auto failure = failure_of(thrown);
  if (failure) {
    code = static_cast<int>(failure->code());
  }
  if (!state_->under_mpi()) {
    if (failure) {
      tell(*failure);
    }
    state_->end();
    return code;
  }
  if (failure && failure->rank() < 0 && world().size() > 1) {
    failure->set_rank(world().rank());
  }
  state_->watch->program_ended(code);
  const double patience = code != 0 ? patience_s : std::numeric_limits<double>::infinity();
  if (!state_->everyone_arrives(patience)) {
    if (failure) {
      tell(*failure);
    }
    std::fflush(nullptr);
    world().abort(static_cast<base::ExitCode>(code));
  }
  const int common = state_->common_ending(code, failure ? &*failure : nullptr, tell);
  state_->end();
  return common;
}

std::unique_ptr<Communicator> with_chunk_bytes(Communicator& communicator, std::size_t chunk_bytes) {
  const auto* over_mpi = as_mpi(communicator);
  if (over_mpi == nullptr || chunk_bytes == 0) {
    throw base::InternalError({.what = "a chunk size for a communicator without chunks",
                               .expected = "backend mpi and at least one byte",
                               .got = communicator.backend() + ", " + std::to_string(chunk_bytes)});
  }
  MPI_Comm handle = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(over_mpi->handle(), &handle), "MPI_Comm_dup");
  return std::make_unique<MpiCommunicator>(handle, chunk_bytes, over_mpi->observer());
}

}  // namespace mgrn::comm
