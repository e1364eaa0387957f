// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl: one JSON object per epoch. Rank 0 only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "multigrnformer/base/json_fwd.hpp"

namespace mgrn::train {

class MetricsLog {
 public:
  /// Takes over the lines that are there, up to and including `step`: what a later part of an interrupted run
  /// wrote after its last checkpoint, and a torn last line, go. Step 0: starts anew. `epochs` lines should be
  /// left; fewer are warned about. Throws OutputError.
  MetricsLog(std::filesystem::path file, std::int64_t step, std::int64_t epochs);

  /// The file is replaced as a whole each time: it is as durable as the checkpoint that follows it, and never
  /// torn. It stays small, a line per epoch.
  void append(const base::Json& line);

 private:
  std::filesystem::path file_;
  std::string text_;
};

}  // namespace mgrn::train
