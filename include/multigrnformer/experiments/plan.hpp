// SPDX-License-Identifier: Apache-2.0
// The grid as tasks. A task is one command of this program with its keys, so that any of them can be repeated
// by hand; it has a folder, DIR/tasks/NAME, and may need others: a fine-tuning its pretraining, a training
// its dataset. DIR/plan.json holds them all, longest way to the end first; equal grid files give equal bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "multigrnformer/experiments/grid_file.hpp"

namespace mgrn::experiments {

/// Where a task's result.json stands in results.csv.
struct ResultLabels {
  std::string setting;
  std::string method;
  std::string strategy;
  std::string omics;  ///< "rna+atac" or "rna"
  std::uint64_t run = 1;
  std::uint64_t row = 0;  ///< in the order of the grid file
};

/// One fold of one point of a parameter search (race.hpp).
struct RacePlace {
  std::string race;  ///< SETTING.search.run-R
  std::string setting;
  std::string omics;
  std::uint64_t run = 1;
  std::uint64_t point = 1;
  std::uint64_t fold = 1;
  double keep = 1;     ///< share of the points that goes on after each fold
  std::string metric;  ///< of result.json
  Keys varied;         ///< the point: what the search sets
};

/// Where a task's inspect.json stands in table1.csv.
struct TablePlace {
  std::string setting;
  std::uint64_t row = 0;  ///< in the order of the grid file
};

struct PlannedTask {
  std::string name;     ///< its folder
  std::string command;  ///< simulate, prepare, inspect, train, pretrain, finetune,
                        ///< baseline
  Keys keys;            ///< kGridFolder stands for the grid's folder; `out` included
  std::vector<std::string> needs;
  std::uint64_t cost = 1;  ///< relative work, from the keys alone
  std::uint64_t way = 1;   ///< cost with that of the longest chain of tasks that need this one
  /// What is done, by command and keys of this task and of all that it needs: 16 hexadecimal digits. A state
  /// that was written under another digest does not count.
  std::string digest = {};
  std::optional<ResultLabels> result;    ///< nothing for tasks that only prepare others
  std::optional<RacePlace> race = {};    ///< of a parameter search
  std::optional<TablePlace> table = {};  ///< of a description

  /// Whether it is a training whose keys name neither the processor nor GPUs.
  bool leaves_device_open() const;
  /// `command --key=value ...` for a grid in `out`. What leaves the device open is the processor's.
  std::vector<std::string> arguments(const std::filesystem::path& out) const;
};

struct Plan {
  std::vector<PlannedTask> tasks;  ///< longest way first: a task stands behind all that it needs

  /// Throws InternalError for a name that is none.
  std::size_t index_of(const std::string& name) const;
  std::string text() const;  ///< plan.json
};

/// Checks a task's keys as the command would and returns its cost. Throws UsageError.
using CheckTask = std::function<std::uint64_t(const PlannedTask& task)>;

/// Throws UsageError for anything in the file that cannot be done, before any work begins. Not collective.
Plan make_plan(const GridFile& grid, const CheckTask& check);

/// DIR/plan.json and a folder for each task. Not collective. Throws UsageError, naming the task, when DIR
/// holds finished or running work that the plan would do with other keys; the same plan again changes
/// nothing. Throws OutputError.
void write_plan(const std::filesystem::path& out, const Plan& plan);
/// Throws DataError when there is none or it cannot be read.
Plan read_plan(const std::filesystem::path& out);

std::filesystem::path plan_file(const std::filesystem::path& out);
std::filesystem::path task_folder(const std::filesystem::path& out, const std::string& name);

/// The tasks with these places in the plan and all that they need, by place; of a race, the folds before.
std::vector<std::size_t> with_needs(const Plan& plan, const std::vector<std::size_t>& wanted);

}  // namespace mgrn::experiments
