// SPDX-License-Identifier: Apache-2.0
// What a grid file asks for, as plain values: which settings, strategies, methods and runs, and the keys of
// each. The command line reads the file (it knows the keys); make_plan() turns it into tasks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "multigrnformer/experiments/search_space.hpp"

namespace mgrn::experiments {

/// Keys of a command as the command line takes them, `data.genes` -> `500`.
using Keys = std::map<std::string, std::string>;

/// Stands in a plan for the grid's own folder, so that the folder may be moved.
inline constexpr std::string_view kGridFolder = "{out}";

/// What `train` trains, as a method of a grid; all others are baselines.
inline constexpr const char* kOwnMethod = "multigrnformer";

struct GridFile {
  // [grid]
  std::vector<std::string> settings;
  std::vector<std::string> strategies = {"standard"};
  std::vector<std::string> methods = {kOwnMethod};  ///< and names of baselines::methods()
  std::vector<std::uint64_t> runs = {1};            ///< seeds: run r has pairs.seed = r
  std::vector<std::string> omics;  ///< "rna+atac", "rna": each cell with each; empty: as data.modalities says
  std::vector<std::string> variants;  ///< each setting under each; kPlain: as it is; empty: that alone

  Keys common;                                ///< keys of train outside any section of the grid's own
  Keys preparation;                           ///< keys of prepare, and `simulate.*`, for all datasets
  std::map<std::string, Keys> datasets;       ///< [dataset.NAME]: keys of prepare, or `simulate.*`
  std::map<std::string, Keys> setting_keys;   ///< [setting.NAME]: keys of train, and `dataset`, `sources`
  std::map<std::string, Keys> job_keys;       ///< [job.train], [job.pretrain], [job.finetune], [job.baseline]
  std::map<std::string, Keys> method_keys;    ///< [method.NAME], of baselines
  std::map<std::string, Keys> strategy_keys;  ///< [strategy.NAME]
  std::map<std::string, Keys> variant_keys;   ///< [variant.NAME]: keys of train that win over the setting's
  SearchSpace search;                         ///< [search] and [space], for the strategy `search`
  Keys command_line;                          ///< wins over all but what a strategy is by definition
  std::string file;                           ///< for messages
};

/// The variant that changes nothing.
inline constexpr std::string_view kPlain = "plain";

/// Settings times variants, as settings: SETTING for kPlain, SETTING+VARIANT for the others, setting by
/// setting. Throws UsageError for a variant without a section, or one listed twice.
void expand_variants(GridFile& grid);

/// "1..5", "1,3,8", "1..3,7": distinct seeds in the order given. Throws UsageError.
std::vector<std::uint64_t> parse_runs(const std::string& text);

/// The strategies that train, in the order of the documentation.
const std::vector<std::string>& strategy_names();

/// N of `augment-N`, 1 to 1000; nothing for any other name.
std::optional<int> augmentation_of(const std::string& strategy);

}  // namespace mgrn::experiments
