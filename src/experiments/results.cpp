// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/results.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <tuple>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/evaluate/report.hpp"
#include "multigrnformer/experiments/task_state.hpp"
#include "multigrnformer/formats/table.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;

// Each metric with its controls behind it.
constexpr const char* kColumns[] = {"auroc",
                                    "random_auroc",
                                    "degree_auroc",
                                    "average_precision",
                                    "random_auprc",
                                    "degree_average_precision",
                                    "average_precision_ratio",
                                    "auprc",
                                    "auprc_ratio",
                                    "within_tf_auroc",
                                    "degree_within_tf_auroc",
                                    "within_gene_auroc",
                                    "early_precision",
                                    "early_precision_ratio",
                                    "n_positive",
                                    "n_negative",
                                    "n_without_cells",
                                    "seed"};

struct Row {
  ResultLabels labels;
  base::Json result;
};

// state.json says that a task is done; the folder of an unfinished one may hold the result of another
// attempt.
std::vector<Row> finished_rows(const Plan& plan, const fs::path& out) {
  const ClaimEvidence nobody{.heartbeat_age = [](const fs::path&) { return 0.0; },
                             .process_gone = [](const Claimant&) { return false; },
                             .slurm_job_gone = [](const Claimant&) { return false; }};
  std::vector<Row> rows;
  for (const auto& task : plan.tasks) {
    const fs::path folder = task_folder(out, task.name);
    if (task.result && read_status(folder, task.digest, nobody).state == TaskState::done) {
      rows.push_back({*task.result, base::read_json(folder / "result.json")});
    }
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.labels.row < b.labels.row; });
  return rows;
}

std::string figure(const base::Json& summary, const char* key) {
  const auto place = summary.find(key);
  if (place == summary.end() || !place->is_object() || (*place)["mean"].is_null()) {
    return "-";
  }
  char text[64];
  const double mean = (*place)["mean"].get<double>();
  if ((*place)["sd"].is_null()) {
    std::snprintf(text, sizeof text, "%.4f", mean);
  } else {
    std::snprintf(text, sizeof text, "%.4f ± %.4f", mean, (*place)["sd"].get<double>());
  }
  return text;
}

// "±" is two bytes and one column.
std::string padded(const std::string& text, std::size_t width, bool right) {
  std::size_t shown = 0;
  for (const char byte : text) {
    shown += (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U ? 1 : 0;
  }
  const std::string blanks(shown < width ? width - shown : 0, ' ');
  return right ? blanks + text : text + blanks;
}

}  // namespace

std::string results_table(const Plan& plan, const fs::path& out) {
  formats::TableWriter table;
  for (const char* name : {"setting", "method", "strategy", "omics", "run"}) {
    table.add(name);
  }
  for (const char* name : kColumns) {
    table.add(name);
  }
  table.end_row();
  for (const auto& [labels, result] : finished_rows(plan, out)) {
    table.add(labels.setting).add(labels.method).add(labels.strategy).add(labels.omics).add(labels.run);
    for (const char* name : kColumns) {
      const auto place = result.find(name);
      if (place == result.end() || !place->is_number()) {
        table.add("");
      } else if (place->is_number_unsigned()) {
        table.add(place->get<std::uint64_t>());
      } else if (place->is_number_integer()) {
        table.add(place->get<std::int64_t>());
      } else {
        table.add(place->get<double>());
      }
    }
    table.end_row();
  }
  return table.text();
}

void write_results(const Plan& plan, const fs::path& out) {
  // Others may write it at the same time, each with what it has seen: whoever writes last looks once more.
  std::string written;
  for (std::string table = results_table(plan, out); table != written; table = results_table(plan, out)) {
    base::write_file_atomically(out / "results.csv", table);
    written = std::move(table);
  }
}

std::string results_summary(const Plan& plan, const fs::path& out) {
  struct Cell {
    std::vector<std::string> words;
    std::vector<base::Json> results;
  };
  std::vector<Cell> cells;
  for (const auto& [labels, result] : finished_rows(plan, out)) {
    const std::vector<std::string> words = {labels.setting, labels.method, labels.strategy, labels.omics};
    auto cell =
        std::find_if(cells.begin(), cells.end(), [&](const Cell& other) { return other.words == words; });
    if (cell == cells.end()) {
      cell = cells.insert(cells.end(), {words, {}});
    }
    cell->results.push_back(result);
  }
  if (cells.empty()) {
    return "no result yet\n";
  }
  std::vector<std::vector<std::string>> lines = {{"setting", "method", "strategy", "omics", "runs", "AUROC",
                                                  "degree", "AP", "degree", "random", "AUROC within TFs"}};
  for (const auto& cell : cells) {
    const base::Json summary = evaluate::summary(cell.results);
    std::vector<std::string> line = cell.words;
    line.push_back(std::to_string(cell.results.size()));
    for (const char* key : {"auroc", "degree_auroc", "average_precision", "degree_average_precision",
                            "random_auprc", "within_tf_auroc"}) {
      line.push_back(figure(summary, key));
    }
    lines.push_back(std::move(line));
  }
  constexpr std::size_t kWords = 4;  // the columns of text, which stand to the left
  std::string text;
  for (const auto& line : lines) {
    for (std::size_t column = 0; column < line.size(); ++column) {
      std::size_t width = 0;
      for (const auto& other : lines) {
        std::size_t shown = 0;
        for (const char byte : other[column]) {
          shown += (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U ? 1 : 0;
        }
        width = std::max(width, shown);
      }
      text += (column == 0 ? "" : "  ") + padded(line[column], width, column >= kWords);
    }
    text += "\n";
  }
  return text;
}

}  // namespace mgrn::experiments
