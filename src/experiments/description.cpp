// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/description.hpp"

#include <map>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/experiments/task_state.hpp"
#include "multigrnformer/formats/table.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;

void add_row(formats::TableWriter& table, const std::string& setting, const base::Json& network) {
  table.add(setting);
  for (const char* key : {"cells", "tfs", "genes", "edges"}) {
    table.add(network.at(key).get<std::uint64_t>());
  }
  table.add(network.at("density").get<double>());
  table.add(network.at("gene_set").get<std::uint64_t>());
  const auto& coverage = network.at("coverage");
  table.add(coverage.at("shared_cells").at("median").get<std::uint64_t>())
      .add(coverage.at("without_cells").get<std::uint64_t>())
      .add(coverage.at("below_sample").get<std::uint64_t>())
      .add(coverage.at("sample_cells").get<std::uint64_t>());
  table.end_row();
}

}  // namespace

std::string description_table(const Plan& plan, const fs::path& out) {
  std::map<std::uint64_t, const PlannedTask*> rows;
  for (const auto& task : plan.tasks) {
    if (task.table) {
      rows[task.table->row] = &task;
    }
  }
  if (rows.empty()) {
    return {};
  }
  formats::TableWriter table;
  for (const char* name :
       {"setting", "cells", "tfs", "genes", "edges", "density", "gene_set", "median_shared_cells",
        "edges_without_shared_cells", "edges_with_fewer_than_sample", "sample_cells"}) {
    table.add(name);
  }
  table.end_row();
  for (const auto& [row, task] : rows) {
    const fs::path folder = task_folder(out, task->name);
    if (!is_done(folder, task->digest)) {
      continue;
    }
    const base::Json json = base::read_json(folder / "inspect.json");
    try {
      add_row(table, task->table->setting, json.at("network"));
    } catch (const base::Json::exception& error) {
      throw base::DataError({.what = "the description of a setting is incomplete",
                             .file = (folder / "inspect.json").string(),
                             .got = error.what(),
                             .hint = "remove that folder and start `grid run` again"});
    }
  }
  return table.text();
}

void write_description(const Plan& plan, const fs::path& out) {
  if (const std::string table = description_table(plan, out); !table.empty()) {
    base::write_file_atomically(out / "table1.csv", table);
  }
}

}  // namespace mgrn::experiments
