// SPDX-License-Identifier: Apache-2.0
// From the start of MPI to its end, on every path. A program that no launcher started runs as one rank
// (backend "self") without starting MPI at all.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "multigrnformer/base/environment.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm {

/// How this process was started, read from what launchers leave in the environment.
struct Launch {
  bool parallel = false;  ///< a launcher that speaks to MPI (mpirun, srun --mpi=pmix, ...) started it
  std::string launcher;   ///< "Open MPI", "PMIx", "PMI", "Slurm", or empty
  int ranks = 0;          ///< how many ranks the launcher promised, 0 where it does not say
};

/// `environment` is base::environment, or a stand-in in tests. Throws CommunicationError for several Slurm
/// tasks without an MPI plugin: each would run the whole job alone.
Launch detect_launch(
    const std::function<std::optional<std::string>(base::Variable)>& environment = base::environment);

enum class MpiStart {
  when_launched,  ///< MPI under a launcher, one rank without MPI otherwise
  always,         ///< MPI in any case
};

/// At most one per process. Errors in the constructor: CommunicationError (76).
class MpiSession {
 public:
  explicit MpiSession(MpiStart start = MpiStart::when_launched);
  /// Ends MPI. Waits for ranks that are still at work; while an exception is leaving, waits a few seconds
  /// and then ends them (run() knows the exit code and is the better way).
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  Communicator& world();

  /// Collective. Runs `program` on this rank and returns the exit code, the same on every rank: that of the
  /// lowest rank which failed, else 0. Errors do not leave: `report` (by default: to stderr) is called on
  /// one rank per distinct message. When some ranks failed and others do not come to the end within
  /// `patience_s`, because they wait in a collective that can no longer complete, the failed rank reports
  /// and ends all ranks with its exit code. Call it once, last.
  int run(const std::function<int(Communicator&)>& program,
          const std::function<void(const base::Error&)>& report = {}, double patience_s = 5.0);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Collective. A duplicate of an MPI communicator that hands MPI at most `chunk_bytes` at a time. The
/// default of every MPI communicator keeps below MPI's int counts; tests use a few bytes. Throws
/// InternalError for another backend.
std::unique_ptr<Communicator> with_chunk_bytes(Communicator& communicator, std::size_t chunk_bytes);

}  // namespace mgrn::comm
