// SPDX-License-Identifier: Apache-2.0
#include "experiments/report/gnuplot.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  bool good = false;
  std::string words;  ///< what gnuplot said
};

/// Starts gnuplot in UTC, so that the date it writes has always the same length, and waits for it.
Outcome run_gnuplot(const std::string& commands, const std::string& script) {
  std::vector<std::string> words = {"env", "TZ=UTC", "gnuplot", "-e", commands};
  if (!script.empty()) {
    words.push_back(script);
  }
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (auto& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
    return {.good = false, .words = std::strerror(errno)};
  }
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (::dup2(nothing, STDIN_FILENO) >= 0 && ::dup2(pipe[1], STDOUT_FILENO) >= 0 &&
        ::dup2(pipe[1], STDERR_FILENO) >= 0) {
      ::execvp(arguments.front(), arguments.data());
    }
    ::_exit(127);
  }
  const int fork_code = errno;
  ::close(pipe[1]);
  Outcome outcome;
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto got = ::read(pipe[0], buffer.data(), buffer.size());
    if (got > 0) {
      outcome.words.append(buffer.data(), static_cast<std::size_t>(got));
    } else if (got == 0 || errno != EINTR) {
      break;
    }
  }
  ::close(pipe[0]);
  if (pid < 0) {
    return {.good = false, .words = std::strerror(fork_code)};
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  outcome.good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return outcome;
}

std::string quoted(const std::string& text) {
  std::string safe = "'";
  for (const char letter : text) {
    safe += letter == '\'' ? std::string("''") : std::string(1, letter);
  }
  return safe + "'";
}

/// Cairo writes the time into the file; digits of another time leave all offsets as they are.
void take_out_date(const fs::path& pdf) {
  std::string bytes = base::read_file(pdf);
  constexpr const char* kKey = "/CreationDate (D:";
  const auto key = bytes.find(kKey);
  if (key == std::string::npos) {
    return;
  }
  const auto date = key + std::strlen(kKey);
  constexpr const char* kDate = "20000101000000";
  if (date + std::strlen(kDate) <= bytes.size()) {
    bytes.replace(date, std::strlen(kDate), kDate);
  }
  std::ofstream file(pdf, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) {
    throw base::OutputError({.what = "cannot write a figure",
                             .file = pdf.string(),
                             .got = std::strerror(errno),
                             .hint = "check the folder's permissions and the space left on its disk"});
  }
}

}  // namespace

bool gnuplot_is_here() {
  return run_gnuplot("set terminal pdfcairo", "").good;
}

void draw_with_gnuplot(const fs::path& script, const fs::path& pdf) {
  base::AtomicFile file(pdf);
  const Outcome outcome = run_gnuplot("output = " + quoted(file.temporary().string()), script.string());
  if (!outcome.good || !fs::exists(file.temporary())) {
    throw base::OutputError({.what = "gnuplot could not draw a figure",
                             .file = script.string(),
                             .expected = pdf.string(),
                             .got = outcome.words.empty() ? "nothing" : outcome.words,
                             .hint = "run `gnuplot " + script.filename().string() +
                                     "` in that folder; --pdf no leaves the PDF files out"});
  }
  take_out_date(file.temporary());
  file.commit();
}

}  // namespace mgrn::experiments
