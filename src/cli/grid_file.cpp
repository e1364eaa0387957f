// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/grid_file.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/parse.hpp"

namespace mgrn::cli {
namespace {

namespace fs = std::filesystem;
using experiments::GridFile;
using experiments::Keys;

/// The keys that a section may hold.
class Vocabulary {
 public:
  /// All keys of a command but those that say where a result goes and how to talk about it.
  void add_command(const Command& command, const std::string& prefix = "") {
    Config config;
    KeyTable table;
    command.keys(table, config);
    Config common_config;
    KeyTable common;
    add_common_keys(common, common_config);
    for (const auto& key : table.keys()) {
      if (common.find(key.name) == nullptr && key.name != "out" && key.name != "runs") {
        names_.push_back(prefix + key.name);
        if (key.path) {
          paths_.insert(prefix + key.name);
        }
      }
    }
  }
  void add(const std::string& name) { names_.push_back(name); }

  bool has(const std::string& name) const {
    return std::find(names_.begin(), names_.end(), name) != names_.end();
  }
  bool is_path(const std::string& name) const { return paths_.contains(name); }
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
  std::set<std::string> paths_;
};

class Reader {
 public:
  Reader(fs::path file, const Config& config, const KeyTable& table)
      : file_(std::move(file)), folder_(fs::absolute(file_).parent_path()), config_(config), table_(table) {
    training_.add_command(train_command());
    in_setting_ = training_;
    in_setting_.add("dataset");
    in_setting_.add("sources");
    preparation_.add_command(prepare_command());
    preparation_.add_command(simulate_command(), "simulate.");
  }

  GridFile read() {
    grid_.file = file_.string();
    for (const auto& [name, value] : read_ini(file_)) {
      const auto dot = name.find('.');
      const std::string section = name.substr(0, dot == std::string::npos ? 0 : dot);
      const std::string rest = dot == std::string::npos ? name : name.substr(dot + 1);
      if (section == "grid") {
        put_list(rest, value);
      } else if (section == "setting" || section == "dataset" || section == "job" || section == "strategy") {
        put_named(section, name, rest, value);
      } else if (preparation_.has(name)) {
        put(grid_.preparation, preparation_, name, value);
      } else {
        put(grid_.common, training_, name, value);
      }
    }
    put_command_line();
    return std::move(grid_);
  }

 private:
  [[noreturn]] void unknown(const std::string& name, const std::vector<std::string>& valid) const {
    throw_unknown_key(name, file_.string(), valid, "grid");
  }

  void put_list(const std::string& key, const std::string& value) {
    if (key == "settings") {
      grid_.settings = split_list(value);
    } else if (key == "strategies") {
      grid_.strategies = split_list(value);
    } else if (key == "methods") {
      grid_.methods = split_list(value);
    } else if (key == "runs") {
      grid_.runs = experiments::parse_runs(value);
    } else {
      unknown("grid." + key, {"grid.settings", "grid.strategies", "grid.methods", "grid.runs"});
    }
  }

  /// [SECTION.NAME] KEY.
  void put_named(const std::string& section, const std::string& whole, const std::string& rest,
                 const std::string& value) {
    const auto dot = rest.find('.');
    const std::string name = rest.substr(0, dot);
    constexpr const char* kLegal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+";
    if (dot == std::string::npos || name.empty() || name.find_first_not_of(kLegal) != std::string::npos) {
      throw base::UsageError({.what = "a section of the grid without a name",
                              .file = file_.string(),
                              .expected = "[" + section + ".NAME] of letters, digits, - _ and +",
                              .got = whole,
                              .hint = "name the section"});
    }
    const std::string key = rest.substr(dot + 1);
    if (section == "setting") {
      put(grid_.setting_keys[name], in_setting_, key, value);
    } else if (section == "dataset") {
      put(grid_.datasets[name], preparation_, key, value);
    } else if (section == "strategy") {
      put(grid_.strategy_keys[name], training_, key, value);
    } else if (name == "train" || name == "pretrain" || name == "finetune") {
      put(grid_.job_keys[name], training_, key, value);
    } else {
      throw base::UsageError({.what = "unknown job " + name,
                              .file = file_.string(),
                              .expected = "[job.train], [job.pretrain] or [job.finetune]",
                              .got = "[job." + name + "]",
                              .hint = "mend the section's name"});
    }
  }

  void put(Keys& keys, const Vocabulary& vocabulary, const std::string& key, const std::string& value) const {
    if (!vocabulary.has(key)) {
      unknown(key, vocabulary.names());
    }
    keys[key] = vocabulary.is_path(key) ? rebase_paths(value, folder_) : value;
  }

  void put_command_line() {
    const auto& options = config_.grid;
    for (const auto& [key, value] :
         {std::pair("settings", &options.settings), std::pair("strategies", &options.strategies),
          std::pair("methods", &options.methods), std::pair("runs", &options.runs)}) {
      if (!value->empty()) {
        put_list(key, *value);
      }
    }
    for (const auto& name : config_.given) {
      if (training_.has(name)) {
        const Key& key = *table_.find(name);
        grid_.command_line[name] = key.path ? rebase_paths(key.get(), fs::current_path()) : key.get();
      }
    }
  }

  fs::path file_;
  fs::path folder_;
  const Config& config_;
  const KeyTable& table_;
  Vocabulary training_, in_setting_, preparation_;
  GridFile grid_;
};

}  // namespace

GridFile read_grid_file(const fs::path& file, const Config& config, const KeyTable& table) {
  return Reader(file, config, table).read();
}

}  // namespace mgrn::cli
