// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/base/stop_signal.hpp"
#include "multigrnformer/experiments/scheduler.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr auto kLook = std::chrono::milliseconds(50);

/// A task that runs as a process.
struct Process {
  pid_t pid = -1;
  TaskQueue::Next attempt;
  fs::path log;
  std::uintmax_t log_start = 0;  ///< what this attempt writes begins here
  Clock::time_point start;
  std::unique_ptr<Heartbeat> heartbeat;
};

/// Starts `words` with both outputs appended to `log`. Throws UsageError when the program cannot be executed.
pid_t start_process(std::vector<std::string> words, const fs::path& log) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (auto& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  const auto fail = [&](const std::string& what, const std::string& file, int code) {
    throw base::OutputError({.what = what,
                             .file = file,
                             .got = std::strerror(code),
                             .hint = "check the folder's permissions and the limits of processes and files"});
  };
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0) {
    fail("cannot open the log of a task", log.string(), errno);
  }
  // Closed by a successful exec, else it carries the reason.
  std::array<int, 2> report{};
  if (::pipe2(report.data(), O_CLOEXEC) != 0) {
    const int code = errno;
    ::close(output);
    fail("cannot start a process", words.front(), code);
  }
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    // Tasks end with the scheduler: an orphan would go on while the next run begins the task anew. A launcher
    // takes SIGTERM to its ranks; SIGKILL would leave them behind.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (::getppid() == parent && ::dup2(output, STDOUT_FILENO) >= 0 && ::dup2(output, STDERR_FILENO) >= 0 &&
        ::dup2(nothing, STDIN_FILENO) >= 0) {
      ::execvp(arguments.front(), arguments.data());
    }
    const int code = errno;
    const auto told = ::write(report[1], &code, sizeof code);
    ::_exit(told == sizeof code ? 127 : 126);
  }
  const int fork_code = errno;
  ::close(output);
  ::close(report[1]);
  int code = 0;
  const auto length = pid > 0 ? ::read(report[0], &code, sizeof code) : 0;
  ::close(report[0]);
  if (pid < 0) {
    fail("cannot start a process", words.front(), fork_code);
  }
  if (length == sizeof code) {
    ::waitpid(pid, nullptr, 0);
    throw base::UsageError({.what = "cannot start " + words.front(),
                            .file = "launcher",
                            .expected = "a program to start ranks with",
                            .got = std::strerror(code),
                            .hint = "give another --launcher, or load the module of your MPI library"});
  }
  return pid;
}

/// The last `error:` of an attempt's output, and the hint behind it.
void find_error(const Process& process, Ending& ending) {
  std::string text;
  try {
    text = base::read_file(process.log);
  } catch (const base::DataError&) {
    return;
  }
  text.erase(0, std::min<std::size_t>(process.log_start, text.size()));
  const auto line_after = [&text](std::size_t at, const std::string& prefix) -> std::string {
    return text.compare(at, prefix.size(), prefix) == 0
               ? text.substr(at + prefix.size(), text.find('\n', at) - at - prefix.size())
               : std::string();
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    if (const auto error = line_after(at, "error: "); !error.empty()) {
      ending.error = error;
      ending.hint = end + 1 < text.size() ? line_after(end + 1, "hint: ") : std::string();
    }
    at = end + 1;
  }
}

Ending ending_of_process(const Process& process, int status) {
  Ending ending{.state = TaskState::done};
  ending.seconds = std::chrono::duration<double>(Clock::now() - process.start).count();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    return ending;
  }
  ending.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  find_error(process, ending);
  switch (static_cast<base::ExitCode>(ending.code)) {
    case base::ExitCode::stopped:
      ending.state = TaskState::stopped;
      return ending;
    case base::ExitCode::usage:
    case base::ExitCode::data:
    case base::ExitCode::internal:
    case base::ExitCode::output:
    case base::ExitCode::numeric:
      ending.state = TaskState::failed;
      if (ending.error.empty()) {
        ending.error = "exit code " + std::to_string(ending.code);
      }
      return ending;
    default:
      // Killed, or its ranks lost one another: no fault of the task's.
      ending.state = TaskState::killed;
      if (ending.error.empty()) {
        ending.error = WIFSIGNALED(status) ? "killed by signal " + std::to_string(WTERMSIG(status))
                                           : "ended with code " + std::to_string(ending.code);
      }
      ending.hint = "start `grid run` again; " + process.log.string() + " has what it said";
      return ending;
  }
}

class Processes {
 public:
  Processes(const Plan& plan, QueueOptions options, const IsolateOptions& isolate)
      : plan_(plan), out_(options.out), isolate_(isolate), queue_(plan, std::move(options)) {}

  // An error leaves none behind.
  ~Processes() {
    for (const auto& process : running_) {
      ::kill(process.pid, SIGTERM);
      ::waitpid(process.pid, nullptr, 0);
    }
  }
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  bool work() {
    bool told = false;
    auto look_again = Clock::now();
    for (;;) {
      const bool stop = base::stop_signal() != 0;
      if (stop && !std::exchange(told, true)) {
        for (const auto& process : running_) {
          ::kill(process.pid, SIGUSR1);
        }
      }
      collect();
      bool finished = stop;
      while (!stop && static_cast<int>(running_.size()) < isolate_.at_once && Clock::now() >= look_again) {
        const auto next = queue_.next();
        if (next.step == TaskQueue::Step::run) {
          start(next);
          continue;
        }
        finished = next.step == TaskQueue::Step::finished;
        look_again = Clock::now() +
                     std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(next.pause_s));
        break;
      }
      if (finished && running_.empty()) {
        return stop;
      }
      std::this_thread::sleep_for(kLook);
    }
  }

 private:
  void start(const TaskQueue::Next& next) {
    const PlannedTask& task = plan_.tasks.at(next.task);
    std::vector<std::string> words = isolate_.launcher;
    words.push_back(isolate_.program);
    const auto arguments = task.arguments(out_);
    words.insert(words.end(), arguments.begin(), arguments.end());
    Process process;
    process.attempt = next;
    process.log = queue_.folder(next.task) / "task.log";
    std::error_code none_yet;
    process.log_start = fs::file_size(process.log, none_yet);
    process.log_start = none_yet ? 0 : process.log_start;
    process.start = Clock::now();
    try {
      process.pid = start_process(std::move(words), process.log);
    } catch (const base::Error&) {
      queue_.end(next, {.state = TaskState::waiting});
      throw;
    }
    process.heartbeat = std::make_unique<Heartbeat>(queue_.folder(next.task), next.attempt);
    base::info(task.name + ": begins, process " + std::to_string(process.pid));
    running_.push_back(std::move(process));
  }

  void collect() {
    for (std::size_t i = 0; i < running_.size();) {
      int status = 0;
      if (::waitpid(running_[i].pid, &status, WNOHANG) != running_[i].pid) {
        ++i;
        continue;
      }
      const Process process = std::move(running_[i]);
      running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
      const Ending ending = ending_of_process(process, status);
      const std::string& name = plan_.tasks[process.attempt.task].name;
      if (!process.heartbeat->lost()) {
        queue_.end(process.attempt, ending);
      }
      const std::string line = name + ": " + state_name(ending.state);
      ending.error.empty() ? base::info(line) : base::warn(line + ": " + ending.error);
    }
  }

  const Plan& plan_;
  fs::path out_;
  const IsolateOptions& isolate_;
  TaskQueue queue_;
  std::vector<Process> running_;
};

}  // namespace

bool run_isolated(const Plan& plan, QueueOptions options, const IsolateOptions& isolate) {
  return Processes(plan, std::move(options), isolate).work();
}

}  // namespace mgrn::experiments
