// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/tables.hpp"

#include <algorithm>

#include "multigrnformer/experiments/description.hpp"
#include "multigrnformer/experiments/results.hpp"
#include "multigrnformer/experiments/search_results.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;

bool has_results(const Plan& plan) {
  return std::any_of(plan.tasks.begin(), plan.tasks.end(), [](const auto& task) { return task.result; });
}

}  // namespace

void write_tables(const Plan& plan, const fs::path& out) {
  write_results(plan, out);
  write_search(plan, out);
  write_description(plan, out);
}

std::string tables_summary(const Plan& plan, const fs::path& out) {
  return description_table(plan, out) + (has_results(plan) ? results_summary(plan, out) : std::string()) +
         search_summary(plan, out);
}

std::string tables_line(const Plan& plan, const fs::path& out) {
  const auto has = [&](const auto& of_kind) {
    return std::any_of(plan.tasks.begin(), plan.tasks.end(), of_kind);
  };
  std::string text;
  if (has([](const PlannedTask& task) { return task.table.has_value(); })) {
    text += ", " + (out / "table1.csv").string();
  }
  if (has([](const PlannedTask& task) { return task.race.has_value(); })) {
    text += ", " + (out / "search.csv").string();
  }
  if (has_results(plan)) {
    text += ", " + (out / "results.csv").string();
  }
  return text.empty() ? text : "results in " + text.substr(2) + "\n";
}

}  // namespace mgrn::experiments
