// SPDX-License-Identifier: Apache-2.0
// The folder of one run: which files it holds and in which order they appear. result.json comes last and
// marks a finished run; `stopped` marks one that ended on a signal. Times and hosts are in run_info.json
// only, all else is byte-stable. Not collective: rank 0 calls it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "multigrnformer/base/json_fwd.hpp"

namespace mgrn::train {

class RunLock;

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path& path() const { return folder_; }
  std::filesystem::path config() const { return folder_ / "config.ini"; }
  std::filesystem::path info() const { return folder_ / "run_info.json"; }
  std::filesystem::path split() const { return folder_ / "split.csv"; }
  std::filesystem::path metrics() const { return folder_ / "metrics.jsonl"; }
  std::filesystem::path weights() const { return folder_ / "model.safetensors"; }
  std::filesystem::path predictions() const { return folder_ / "predictions.csv"; }
  std::filesystem::path result() const { return folder_ / "result.json"; }
  std::filesystem::path stopped_marker() const { return folder_ / "stopped"; }

  /// Makes the folder and takes its lock, which this object and its copies then hold. Throws UsageError when
  /// another job works there.
  void lock();
  /// Throws OutputError when lock() was called and another job has taken the folder over since.
  void require_own() const;

  /// result.json of a finished run of these settings; nothing when the run is not finished. Throws
  /// UsageError, naming the key, when the folder holds finished work with other settings.
  std::optional<base::Json> finished(const std::string& config_text) const;

  /// Makes the folder, writes config.ini, opens a session in run_info.json and takes the stopped marker away.
  /// `facts` (versions, seeds, inputs) go to the file's top level, `session` (command line, hosts, ranks)
  /// into the list of sessions.
  void begin(const std::string& config_text, const base::Json& facts, base::Json session) const;
  /// Closes the open session: "finished", "stopped" or an error's text.
  void end(const std::string& outcome) const;
  /// Leaves the marker for scripts that find an ended job: what happened, and the last step on disk.
  void mark_stopped(const std::string& why) const;

 private:
  std::filesystem::path folder_;
  std::shared_ptr<const RunLock> lock_;
};

/// Now, UTC, "2026-01-31T12:34:56Z".
std::string timestamp();
/// How this program was called, its arguments quoted where a shell needs it.
std::string command_line();

}  // namespace mgrn::train
