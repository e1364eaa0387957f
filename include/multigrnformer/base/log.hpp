// SPDX-License-Identifier: Apache-2.0
// Messages for people, on stderr. Rank 0 speaks; `--log-rank all` opens the others.
#pragma once

#include <string>
#include <string_view>

namespace mgrn::base {

enum class LogLevel { debug, info, warning, error };

/// Call once, before other threads start. `prefix` (such as "rank 2: ") stands before each line.
void start_log(LogLevel least, bool speaks, const std::string& prefix);

/// Whether this rank speaks from now on, and what stands before its lines. Before other threads log.
void set_log_speaker(bool speaks, const std::string& prefix);
/// Messages of less weight are silent from now on. Thread-safe.
void set_log_level(LogLevel least);

/// A line on stderr, where this rank speaks. Thread-safe.
void log(LogLevel level, std::string_view message);
inline void debug(std::string_view message) {
  log(LogLevel::debug, message);
}
inline void info(std::string_view message) {
  log(LogLevel::info, message);
}
inline void warn(std::string_view message) {
  log(LogLevel::warning, message);
}

/// Whether a message of that weight would be shown.
bool log_shows(LogLevel level);
/// Whether this rank writes to stderr (rank 0, or all with `--log-rank all`).
bool log_speaks();

}  // namespace mgrn::base
