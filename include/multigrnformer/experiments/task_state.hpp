// SPDX-License-Identifier: Apache-2.0
// How far a task is, read from its folder: state.json, which its last ended attempt wrote, and the claims.
// Not collective.
#pragma once

#include <filesystem>
#include <string>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/experiments/claim.hpp"

namespace mgrn::experiments {

enum class TaskState {
  waiting,      ///< not begun, or begun only with other keys
  running,      ///< a live claim
  interrupted,  ///< its last attempt ended without a word: killed, or its host went down
  stopped,      ///< ended on a signal, with a checkpoint
  killed,       ///< --isolate: its process was killed
  failed,       ///< ended with an error; state.json has it
  done,
  discarded,  ///< its point has left a parameter search; follows from others' results, is never written
};

std::string state_name(TaskState state);
/// Whether nothing is left to do.
inline bool is_over(TaskState state) {
  return state == TaskState::done || state == TaskState::discarded;
}
/// Whether a new `grid run` takes it up without being told to.
inline bool is_open(TaskState state) {
  return state != TaskState::running && state != TaskState::failed && !is_over(state);
}

/// How an attempt ended; state.json.
struct Ending {
  TaskState state = TaskState::waiting;
  int code = 0;
  std::string error = {};  ///< the error's line, without "error: "
  std::string hint = {};
  double seconds = 0;
};
/// The ending that an error means: stopped for 75, else failed.
Ending ending_of(const base::Error& error);

struct TaskStatus {
  TaskState state = TaskState::waiting;
  int attempt = 0;          ///< the last one, 0: none
  std::string launch = {};  ///< `grid run` of the last ended attempt
  Ending ending = {};       ///< of the last ended attempt
};

/// `digest` is the planned task's. Throws DataError for a state.json that is no JSON.
TaskStatus read_status(const std::filesystem::path& task, const std::string& digest,
                       const ClaimEvidence& evidence);

/// Whether state.json says that the task is done, under this digest: nothing else vouches for its result.
bool is_done(const std::filesystem::path& task, const std::string& digest);

/// state.json, atomically. Only the owner of `attempt` calls it. Throws OutputError.
void write_ending(const std::filesystem::path& task, const std::string& digest, int attempt,
                  const Claimant& owner, const Ending& ending);

}  // namespace mgrn::experiments
