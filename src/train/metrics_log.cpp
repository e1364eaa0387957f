// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/metrics_log.hpp"

#include <utility>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"

namespace mgrn::train {
namespace {

// Step of a line, -1 when it is no line of ours.
std::int64_t step_of(const std::string& line) {
  const base::Json value = base::Json::parse(line, nullptr, false);
  if (!value.is_object() || !value.contains("step") || !value["step"].is_number_integer()) {
    return -1;
  }
  return value["step"].get<std::int64_t>();
}

}  // namespace

MetricsLog::MetricsLog(std::filesystem::path file, std::int64_t step, std::int64_t epochs)
    : file_(std::move(file)) {
  std::int64_t kept = 0;
  if (step > 0 && std::filesystem::exists(file_)) {
    const std::string old = base::read_file(file_);
    // A line without its line break is torn.
    for (std::size_t start = 0, end = 0; (end = old.find('\n', start)) != std::string::npos;
         start = end + 1) {
      const std::string line = old.substr(start, end - start);
      const std::int64_t at = step_of(line);
      if (at >= 0 && at <= step) {
        text_ += line + "\n";
        ++kept;
      }
    }
  }
  if (kept < epochs) {
    base::warn(file_.string() + " has lost " + std::to_string(epochs - kept) +
               " of the lines written before the checkpoint");
  }
  base::write_file_atomically(file_, text_);
}

void MetricsLog::append(const base::Json& line) {
  text_ += base::json_line(line) + "\n";
  base::write_file_atomically(file_, text_);
}

}  // namespace mgrn::train
