// SPDX-License-Identifier: Apache-2.0
// Progress of long work: a bar with rate and time left on a terminal, plain lines now and then in a log.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace mgrn::base {

/// Speaks only where the log speaks (rank 0). Not thread-safe: one thread advances it.
class Progress {
 public:
  /// `unit` is what is counted: "cells", "samples", "pairs".
  Progress(std::string task, std::uint64_t total, std::string unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `note` is shown behind the bar, such as "loss 0.52".
  void advance(std::uint64_t count, const std::string& note = {});
  void finish();

 private:
  void show(bool last);

  std::string task_;
  std::uint64_t total_;
  std::string unit_;
  std::uint64_t done_ = 0;
  std::string note_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point shown_;
  bool terminal_;
  bool finished_ = false;
};

}  // namespace mgrn::base
