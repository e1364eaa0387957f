// SPDX-License-Identifier: Apache-2.0
// Targets that are done, on disk, so that a run that was killed goes on, and runs that differ only in their
// split share the work: FOLDER/KEY/*.jsonl, one line of JSON per target. KEY names all that the importances
// depend on (data, regulators, settings, seed). A file is complete or not there, is named after its content
// and never changed: any number of ranks and jobs may write into one folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mgrn::baselines {

/// A target's importances by regulator, zeros left out.
struct FinishedTarget {
  std::string target;
  int trees = 0;
  std::map<std::string, double> importance = {};
};

/// Not thread-safe.
class FinishedTargets {
 public:
  /// `key`: any text.
  FinishedTargets(const std::filesystem::path& folder, std::string_view key);

  const std::filesystem::path& folder() const { return folder_; }
  /// All targets on disk, each once, by name. A file that cannot be understood is warned of and left out: its
  /// targets are computed again. Throws DataError for a file that cannot be read.
  std::vector<FinishedTarget> read() const;
  /// Writes `targets` as one more file; none: nothing. Throws OutputError.
  void write(const std::vector<FinishedTarget>& targets) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace mgrn::baselines
