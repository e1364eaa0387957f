// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

namespace mgrn::base {
namespace {

std::atomic<bool> g_speaks{true};

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

const std::shared_ptr<spdlog::logger>& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = spdlog::stderr_color_mt("multigrnformer");
    made->set_pattern("%H:%M:%S %^%l%$: %v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return instance;
}

}  // namespace

void start_log(LogLevel least, bool speaks, const std::string& prefix) {
  set_log_level(least);
  set_log_speaker(speaks, prefix);
}

void set_log_speaker(bool speaks, const std::string& prefix) {
  g_speaks = speaks;
  logger()->set_pattern("%H:%M:%S %^%l%$: " + prefix + "%v");
}

void set_log_level(LogLevel least) {
  logger()->set_level(to_spdlog(least));
}

void log(LogLevel level, std::string_view message) {
  if (g_speaks) {
    logger()->log(to_spdlog(level), "{}", message);
  }
}

bool log_shows(LogLevel level) {
  return g_speaks && logger()->should_log(to_spdlog(level));
}

bool log_speaks() {
  return g_speaks;
}

}  // namespace mgrn::base
