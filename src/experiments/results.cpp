// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/results.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/evaluate/report.hpp"
#include "multigrnformer/experiments/run_groups.hpp"
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
  for (const char* name : {"setting", "method", "strategy", "omics", "run", "negatives", "split", "leak"}) {
    table.add(name);
  }
  for (const char* name : kColumns) {
    table.add(name);
  }
  table.end_row();
  for (const FinishedRun& run : finished_runs(plan, out)) {
    const auto& [labels, folder, config, result] = run;
    const Protocol protocol = protocol_of(run);
    table.add(labels.setting).add(labels.method).add(labels.strategy).add(labels.omics).add(labels.run);
    table.add(protocol.negatives).add(protocol.split).add(protocol.leak);
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
  const std::vector<RunGroup> groups = group_runs(finished_runs(plan, out));
  if (groups.empty()) {
    return "no result yet\n";
  }
  std::vector<std::vector<std::string>> lines = {{"setting", "method", "strategy", "omics", "runs", "AUROC",
                                                  "degree", "AP", "degree", "random", "AUROC within TFs"}};
  for (const RunGroup& group : groups) {
    std::vector<base::Json> results;
    for (const FinishedRun& run : group.runs) {
      results.push_back(run.result);
    }
    const base::Json summary = evaluate::summary(results);
    std::vector<std::string> line = {group.setting, group.method, group.strategy, group.omics,
                                     std::to_string(group.runs.size())};
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
