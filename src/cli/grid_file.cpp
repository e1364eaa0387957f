// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/grid_file.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/parse.hpp"
#include "multigrnformer/formats/number_text.hpp"

namespace mgrn::cli {
namespace {

namespace fs = std::filesystem;
using experiments::GridFile;
using experiments::Keys;

const std::string kInclude = "grid.include";
// Stands in a grid file for the folder of the data, so that the file holds no path of one machine.
constexpr std::string_view kDataFolder = "{data}";

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
      : file_(std::move(file)), config_(config), table_(table) {
    training_.add_command(baseline_command());  // takes train's keys too
    in_setting_ = training_;
    in_setting_.add("dataset");
    in_setting_.add("sources");
    preparation_.add_command(prepare_command());
    preparation_.add_command(simulate_command(), "simulate.");
  }

  GridFile read() {
    grid_.file = file_.string();
    const auto lines = read_lines();
    find_data(lines);
    for (const auto& [name, line] : lines) {
      const auto& [value, folder] = line;
      folder_ = folder;
      const auto dot = name.find('.');
      const std::string section = name.substr(0, dot == std::string::npos ? 0 : dot);
      const std::string rest = dot == std::string::npos ? name : name.substr(dot + 1);
      if (section == "grid") {
        put_list(rest, value);
      } else if (section == "setting" || section == "dataset" || section == "job" || section == "method" ||
                 section == "strategy" || section == "variant") {
        put_named(section, name, rest, value);
      } else if (section == "search") {
        put_search(rest, value);
      } else if (section == "space") {
        put_space(rest, value);
      } else if (preparation_.has(name)) {
        put(grid_.preparation, preparation_, name, value);
      } else {
        put(grid_.common, training_, name, value);
      }
    }
    put_command_line();
    if (grid_.settings == std::vector<std::string>{"all"}) {
      grid_.settings.clear();
      for (const auto& [setting, keys] : grid_.setting_keys) {
        grid_.settings.push_back(setting);
      }
    }
    expand_variants(grid_);
    return std::move(grid_);
  }

 private:
  /// A value and the folder of the file that says it.
  using Line = std::pair<std::string, fs::path>;

  /// This file's lines, and those of the files that it includes, where it does not say the same key itself.
  std::map<std::string, Line> read_lines() const {
    std::map<std::string, Line> lines;
    const auto add = [&](const std::map<std::string, std::string>& values, const fs::path& folder) {
      for (const auto& [name, value] : values) {
        lines.emplace(name, Line(value, folder));
      }
    };
    const auto own = read_ini(file_);
    const fs::path folder = fs::absolute(file_).parent_path();
    add(own, folder);
    if (const auto included = own.find(kInclude); included != own.end()) {
      for (const auto& item : split_list(included->second)) {
        const fs::path other = (folder / item).lexically_normal();
        if (!fs::is_regular_file(other)) {
          throw base::DataError({.what = "an included grid file does not exist",
                                 .file = file_.string(),
                                 .expected = "a file at include under [grid]",
                                 .got = other.string(),
                                 .hint = "mend include; its paths are relative to the file that says it"});
        }
        const auto values = read_ini(other);
        if (values.contains(kInclude)) {
          throw base::UsageError({.what = "an included grid file includes another",
                                  .file = other.string(),
                                  .expected = "no include under [grid]",
                                  .got = values.at(kInclude),
                                  .hint = "name both files in " + file_.string()});
        }
        add(values, other.parent_path());
      }
    }
    return lines;
  }

  /// The folder that {data} stands for.
  void find_data(const std::map<std::string, Line>& lines) {
    if (!config_.grid.data.empty()) {
      data_ = fs::absolute(config_.grid.data).lexically_normal();
    } else if (const auto given = lines.find("grid.data");
               given != lines.end() && !given->second.first.empty()) {
      data_ = (given->second.second / given->second.first).lexically_normal();
    }
  }

  /// Paths of the file: {data}/... below the folder of the data, other relative ones below the file's own.
  std::string paths(const std::string& key, const std::string& value) const {
    std::string text;
    for (const auto& item : split_list(value)) {
      const bool in_data = item.rfind(kDataFolder, 0) == 0;
      if (in_data && data_.empty()) {
        throw base::UsageError(
            {.what = "the grid file leaves open where the data are",
             .file = file_.string(),
             .expected = "--grid.data DIR",
             .got = key + " = " + item,
             .hint = "give that folder; launch/fetch-data.sh makes the one of configs/paper"});
      }
      text += (text.empty() ? "" : ",") +
              (in_data ? rebase_paths(data_.string() + item.substr(kDataFolder.size()), data_)
                       : rebase_paths(item, folder_));
    }
    return text;
  }

  void put_search(const std::string& key, const std::string& value) {
    auto& search = grid_.search;
    const auto refuse = [&](const std::string& expected) {
      throw base::UsageError({.what = "illegal value of search." + key,
                              .file = file_.string(),
                              .expected = expected,
                              .got = "\"" + value + "\"",
                              .hint = "mend that line under [search]"});
    };
    const auto count = [&](std::uint64_t& number, std::uint64_t least, std::uint64_t most) {
      if (!formats::parse_number(value, number) || number < least || number > most) {
        refuse("a whole number from " + std::to_string(least) + " to " + std::to_string(most));
      }
    };
    using Design = experiments::SearchSpace::Design;
    const std::map<std::string, Design> designs = {
        {"full", Design::full}, {"one-at-a-time", Design::one_at_a_time}, {"random", Design::random}};
    const std::vector<std::string> metrics = {"auroc", "average_precision", "within_tf_auroc"};
    if (key == "design") {
      if (!designs.contains(value)) {
        refuse("full, one-at-a-time or random");
      }
      search.design = designs.at(value);
    } else if (key == "folds") {
      count(search.folds, 2, 1000);
    } else if (key == "points") {
      count(search.points, 1, 10'000);
    } else if (key == "seed") {
      count(search.seed, 0, std::numeric_limits<std::uint64_t>::max());
    } else if (key == "keep") {
      if (!formats::parse_number(value, search.keep) || !(search.keep > 0 && search.keep <= 1)) {
        refuse("a share above 0, 1 at most");
      }
    } else if (key == "metric") {
      if (std::find(metrics.begin(), metrics.end(), value) == metrics.end()) {
        refuse("auroc, average_precision or within_tf_auroc");
      }
      search.metric = value;
    } else {
      unknown("search." + key, {"search.design", "search.folds", "search.keep", "search.metric",
                                "search.points", "search.seed"});
    }
  }

  void put_space(const std::string& key, const std::string& value) {
    if (!training_.has(key)) {
      unknown(key, training_.names());
    }
    if (training_.is_path(key) || key.rfind("data.", 0) == 0 || key == "pairs.seed" || key == "pairs.fold") {
      throw base::UsageError(
          {.what = "a key that cannot be searched",
           .file = file_.string(),
           .expected = "a key that says how to train, not on what",
           .got = key,
           .hint = "take it out of [space]; settings and runs under [grid] vary the data"});
    }
    grid_.search.values.emplace_back(key, split_list(value));
  }

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
    } else if (key == "omics") {
      grid_.omics = split_list(value);
    } else if (key == "variants") {
      grid_.variants = split_list(value);
    } else if (key == "runs") {
      grid_.runs = experiments::parse_runs(value);
    } else if (key != "data" && key != "include") {
      unknown("grid." + key, {"grid.settings", "grid.strategies", "grid.methods", "grid.omics",
                              "grid.variants", "grid.runs", "grid.data", "grid.include"});
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
    } else if (section == "variant") {
      put(grid_.variant_keys[name], training_, key, value);
    } else if (section == "method") {
      put(grid_.method_keys[name], training_, key, value);
    } else if (name == "train" || name == "pretrain" || name == "finetune" || name == "baseline") {
      put(grid_.job_keys[name], training_, key, value);
    } else {
      throw base::UsageError({.what = "unknown job " + name,
                              .file = file_.string(),
                              .expected = "[job.train], [job.pretrain], [job.finetune] or [job.baseline]",
                              .got = "[job." + name + "]",
                              .hint = "mend the section's name"});
    }
  }

  void put(Keys& keys, const Vocabulary& vocabulary, const std::string& key, const std::string& value) const {
    if (!vocabulary.has(key)) {
      unknown(key, vocabulary.names());
    }
    keys[key] = vocabulary.is_path(key) ? paths(key, value) : value;
  }

  void put_command_line() {
    const auto& options = config_.grid;
    for (const auto& [key, value] :
         {std::pair("settings", &options.settings), std::pair("strategies", &options.strategies),
          std::pair("methods", &options.methods), std::pair("omics", &options.omics),
          std::pair("variants", &options.variants), std::pair("runs", &options.runs)}) {
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
  fs::path folder_;  ///< of the line that is read
  fs::path data_;
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
