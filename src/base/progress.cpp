// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "multigrnformer/base/log.hpp"

namespace mgrn::base {
namespace {

using Seconds = std::chrono::duration<double>;
constexpr int kBarWidth = 28;
constexpr double kTerminalInterval = 0.1;
constexpr double kLogInterval = 10.0;

std::string clock_text(double seconds) {
  const auto whole = std::lround(seconds);
  return whole >= 3600 ? fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
                       : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Progress::Progress(std::string task, std::uint64_t total, std::string unit)
    : task_(std::move(task)),
      total_(total),
      unit_(std::move(unit)),
      start_(std::chrono::steady_clock::now()),
      shown_(start_),
      terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  finish();
}

void Progress::advance(std::uint64_t count, const std::string& note) {
  done_ += count;
  note_ = note;
  const auto now = std::chrono::steady_clock::now();
  if (Seconds(now - shown_).count() >= (terminal_ ? kTerminalInterval : kLogInterval)) {
    shown_ = now;
    show(false);
  }
}

void Progress::finish() {
  if (!std::exchange(finished_, true)) {
    show(true);
  }
}

void Progress::show(bool last) {
  if (!log_shows(LogLevel::info)) {
    return;
  }
  const double elapsed = Seconds(std::chrono::steady_clock::now() - start_).count();
  const double rate = elapsed > 0 ? static_cast<double>(done_) / elapsed : 0;
  const double share =
      total_ > 0 ? std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_)) : 1;
  const std::string time =
      last ? "took " + clock_text(elapsed)
           : "ETA " +
                 (rate > 0 ? clock_text(static_cast<double>(total_ - std::min(done_, total_)) / rate) : "?");
  const std::string text = fmt::format("{}/{} {} ({:.0f} %), {:.1f} {}/s, {}{}{}", done_, total_, unit_,
                                       100 * share, rate, unit_, time, note_.empty() ? "" : ", ", note_);
  if (!terminal_) {
    info(task_ + ": " + text);
    return;
  }
  const int full = static_cast<int>(share * kBarWidth);
  fmt::print(stderr, "\r\x1b[2K{} [{}{}] {}{}", task_, std::string(static_cast<std::size_t>(full), '#'),
             std::string(static_cast<std::size_t>(kBarWidth - full), '-'), text, last ? "\n" : "");
  std::fflush(stderr);
}

}  // namespace mgrn::base
