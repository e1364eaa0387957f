// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/task_state.hpp"

#include <array>
#include <utility>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/train/run_folder.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::pair<TaskState, const char*>, 8> kNames = {{{TaskState::waiting, "waiting"},
                                                                      {TaskState::running, "running"},
                                                                      {TaskState::interrupted, "interrupted"},
                                                                      {TaskState::stopped, "stopped"},
                                                                      {TaskState::killed, "killed"},
                                                                      {TaskState::failed, "failed"},
                                                                      {TaskState::done, "done"},
                                                                      {TaskState::discarded, "discarded"}}};

fs::path state_file(const fs::path& task) {
  return task / "state.json";
}

TaskState state_named(const std::string& name, const fs::path& file) {
  for (const auto& [state, its_name] : kNames) {
    if (name == its_name) {
      return state;
    }
  }
  throw base::DataError({.what = "unknown state of a task",
                         .file = file.string(),
                         .expected = "waiting, running, interrupted, stopped, killed, failed or done",
                         .got = name,
                         .hint = "remove the file: the task is then run again"});
}

/// What the newest attempt that ended left, into `status` where it is of this digest. Returns the attempt's
/// number, 0 for none.
int read_state(const fs::path& task, const std::string& digest, TaskStatus& status) {
  const fs::path file = state_file(task);
  if (!fs::exists(file)) {
    return 0;
  }
  const base::Json json = base::read_json(file);
  try {
    const int attempt = json.at("attempt").get<int>();
    if (json.at("digest").get<std::string>() == digest) {
      status.state = state_named(json.at("state").get<std::string>(), file);
      status.launch = json.at("launch").get<std::string>();
      status.ending = {.state = status.state,
                       .code = json.at("code").get<int>(),
                       .error = json.at("error").get<std::string>(),
                       .hint = json.at("hint").get<std::string>(),
                       .seconds = json.at("seconds").get<double>()};
    }
    return attempt;
  } catch (const base::Json::exception& error) {
    throw base::DataError({.what = "the state of a task is incomplete",
                           .file = file.string(),
                           .got = error.what(),
                           .hint = "remove the file: the task is then run again"});
  }
}

}  // namespace

std::string state_name(TaskState state) {
  for (const auto& [its_state, name] : kNames) {
    if (state == its_state) {
      return name;
    }
  }
  return "unknown";
}

Ending ending_of(const base::Error& error) {
  const bool stopped = error.code() == base::ExitCode::stopped;
  const std::string whole = error.what();
  const std::string line = whole.substr(0, whole.find('\n'));
  constexpr const char* kPrefix = "error: ";
  return {.state = stopped ? TaskState::stopped : TaskState::failed,
          .code = static_cast<int>(error.code()),
          .error = line.rfind(kPrefix, 0) == 0 ? line.substr(std::char_traits<char>::length(kPrefix)) : line,
          .hint = error.text().hint};
}

TaskStatus read_status(const fs::path& task, const std::string& digest, const ClaimEvidence& evidence) {
  TaskStatus status;
  const int ended = read_state(task, digest, status);
  status.attempt = ended;
  if (status.state == TaskState::done) {
    return status;  // whatever became of later attempts
  }
  if (const int last = last_attempt(task); last > ended) {
    status.attempt = last;
    const bool stale = is_stale(claim_file(task, last), read_claim(task, last), evidence);
    status.state = stale ? TaskState::interrupted : TaskState::running;
  }
  return status;
}

bool is_done(const fs::path& task, const std::string& digest) {
  TaskStatus status;
  read_state(task, digest, status);
  return status.state == TaskState::done;
}

void write_ending(const fs::path& task, const std::string& digest, int attempt, const Claimant& owner,
                  const Ending& ending) {
  base::write_file_atomically(state_file(task), base::json_text({{"state", state_name(ending.state)},
                                                                 {"attempt", attempt},
                                                                 {"digest", digest},
                                                                 {"launch", owner.launch},
                                                                 {"host", owner.host},
                                                                 {"code", ending.code},
                                                                 {"error", ending.error},
                                                                 {"hint", ending.hint},
                                                                 {"ended", train::timestamp()},
                                                                 {"seconds", ending.seconds}}));
}

}  // namespace mgrn::experiments
