// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/run_folder.hpp"

#include <ctime>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/train/checkpoint.hpp"
#include "multigrnformer/train/resolved_config.hpp"
#include "multigrnformer/train/run_lock.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;

// A damaged run_info.json is no reason to stop: nothing is computed from it.
base::Json read_info(const fs::path& file) {
  if (!fs::exists(file)) {
    return base::Json::object();
  }
  base::Json info = base::Json::parse(base::read_file(file), nullptr, false);
  return info.is_object() ? info : base::Json::object();
}

std::string shell_word(const std::string& word) {
  constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
    return word;
  }
  std::string quoted = "'";
  for (const char letter : word) {
    quoted += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  }
  return quoted + "'";
}

}  // namespace

void RunFolder::lock() {
  base::create_directories(folder_);
  lock_ = std::make_shared<const RunLock>(folder_);
}

void RunFolder::require_own() const {
  if (lock_) {
    lock_->require_held();
  }
}

std::optional<base::Json> RunFolder::finished(const std::string& config_text) const {
  if (!fs::exists(result())) {
    return std::nullopt;
  }
  if (fs::exists(config())) {
    require_same_config(base::read_file(config()), config_text, folder_, keys_without_influence());
  }
  return base::read_json(result());
}

void RunFolder::begin(const std::string& config_text, const base::Json& facts, base::Json session) const {
  base::create_directories(folder_);
  base::write_file_atomically(config(), config_text);
  base::Json file = read_info(info());
  if (!file.contains("sessions") || !file["sessions"].is_array()) {
    file["sessions"] = base::Json::array();
  }
  file.update(facts);
  session["started"] = timestamp();
  session["ended"] = nullptr;
  session["outcome"] = "running";
  file["sessions"].push_back(std::move(session));
  base::write_file_atomically(info(), base::json_text(file));
  std::error_code ignored;
  fs::remove(stopped_marker(), ignored);
  fs::remove(folder_ / "collectives.txt", ignored);  // of a session that a missing rank ended
}

void RunFolder::end(const std::string& outcome) const {
  base::Json file = read_info(info());
  if (file.contains("sessions") && file["sessions"].is_array() && !file["sessions"].empty()) {
    file["sessions"].back()["ended"] = timestamp();
    file["sessions"].back()["outcome"] = outcome;
    base::write_file_atomically(info(), base::json_text(file));
  }
}

void RunFolder::mark_stopped(const std::string& why) const {
  base::write_file_atomically(stopped_marker(), why + "\n");
}

std::string timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  const auto length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, length};
}

std::string command_line() {
  std::string raw;
  try {
    raw = base::read_file("/proc/self/cmdline");
  } catch (const base::Error&) {
    return {};  // a system that does not say; run_info.json then lacks the line
  }
  std::string text;
  for (std::size_t start = 0, end = 0; (end = raw.find('\0', start)) != std::string::npos; start = end + 1) {
    text += (text.empty() ? "" : " ") + shell_word(raw.substr(start, end - start));
  }
  return text;
}

}  // namespace mgrn::train
