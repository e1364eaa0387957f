// SPDX-License-Identifier: Apache-2.0
// What a grid file asks for, as plain values: which settings, strategies, methods and runs, and the keys of
// each. The command line reads the file (it knows the keys); make_plan() turns it into tasks.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mgrn::experiments {

/// Keys of a command as the command line takes them, `data.genes` -> `500`.
using Keys = std::map<std::string, std::string>;

/// Stands in a plan for the grid's own folder, so that the folder may be moved.
inline constexpr std::string_view kGridFolder = "{out}";

struct GridFile {
  // [grid]
  std::vector<std::string> settings;
  std::vector<std::string> strategies = {"standard"};
  std::vector<std::string> methods = {"multigrnformer"};
  std::vector<std::uint64_t> runs = {1};  ///< seeds: run r has pairs.seed = r

  Keys common;                                ///< keys of train outside any section of the grid's own
  Keys preparation;                           ///< keys of prepare, and `simulate.*`, for all datasets
  std::map<std::string, Keys> datasets;       ///< [dataset.NAME]: keys of prepare, or `simulate.*`
  std::map<std::string, Keys> setting_keys;   ///< [setting.NAME]: keys of train, and `dataset`, `sources`
  std::map<std::string, Keys> job_keys;       ///< [job.train], [job.pretrain], [job.finetune]
  std::map<std::string, Keys> strategy_keys;  ///< [strategy.NAME]
  Keys command_line;                          ///< wins over all but what a strategy is by definition
  std::string file;                           ///< for messages
};

/// "1..5", "1,3,8", "1..3,7": distinct seeds in the order given. Throws UsageError.
std::vector<std::uint64_t> parse_runs(const std::string& text);

/// The strategies there are, in the order of the documentation.
const std::vector<std::string>& strategy_names();

}  // namespace mgrn::experiments
