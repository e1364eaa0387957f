// SPDX-License-Identifier: Apache-2.0
// Finished grids for tests of the report, without training: a task's folder holds what `train` would leave
// there, with scores that the test sets.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/experiments/plan.hpp"
#include "multigrnformer/experiments/task_state.hpp"

namespace mgrn::experiments::test {

/// One run as the test wants it.
struct MadeRun {
  std::string setting = "human";
  std::string method = "multigrnformer";
  std::string strategy = "standard";
  std::string omics = "rna+atac";
  std::uint64_t run = 1;
  double auroc = 0.6;
  double degree_auroc = 0.85;
  double within_tf_auroc = 0.5;
  Keys keys = {};  ///< beyond the defaults of config.ini
};

class MadeGrid {
 public:
  explicit MadeGrid(std::filesystem::path out) : out_(std::move(out)) {}

  /// A planned result that is not there yet.
  std::string plan_run(const MadeRun& run) {
    const std::string name = run.setting + "." + run.method + "." + run.strategy + "." + run.omics + ".run-" +
                             std::to_string(run.run);
    plan.tasks.push_back({.name = name,
                          .command = "train",
                          .keys = {},
                          .needs = {},
                          .digest = "0123",
                          .result = ResultLabels{.setting = run.setting,
                                                 .method = run.method,
                                                 .strategy = run.strategy,
                                                 .omics = run.omics,
                                                 .run = run.run,
                                                 .row = plan.tasks.size()}});
    return name;
  }

  /// The same, done: 40 training positives, 10 test positives and 30 test negatives.
  void add(const MadeRun& run) {
    const auto folder = task_folder(out_, plan_run(run));
    std::filesystem::create_directories(folder);
    std::map<std::string, std::string> config = {
        {"cross.leak", "none"},          {"data.dataset", run.setting + ".h5"},
        {"data.modalities", "rna,atac"}, {"model.cells", "500"},
        {"pairs.augment", "1"},          {"pairs.negatives", "network"},
        {"pairs.split", "edge"},         {"pairs.seed", std::to_string(run.run)}};
    for (const auto& [key, value] : run.keys) {
      config[key] = value;
    }
    std::string text;
    for (const auto& [key, value] : config) {
      const auto dot = key.find('.');
      text += "[" + key.substr(0, dot) + "]\n" + key.substr(dot + 1) + " = " + value + "\n";
    }
    write(folder / "config.ini", text);
    std::string split = "tf,gene,label,set\n";
    std::string predictions = "tf,gene,label,score\n";
    for (int i = 0; i < 80; ++i) {
      const bool test = i >= 40;
      const int label = i < 50 ? 1 : 0;
      const std::string pair = "TF" + std::to_string(i % 7) + ",G" + std::to_string(i);
      split += pair + "," + std::to_string(label) + (test ? ",test\n" : ",train\n");
      if (test) {
        // Mixed, and never exactly 0: that would mean a pair without cells.
        const int mixed =
            (i * 37 + static_cast<int>(run.run) * 11) % 97 + 1 + label * static_cast<int>(40 * run.auroc);
        predictions += pair + "," + std::to_string(label) + "," + std::to_string(mixed) + "\n";
      }
    }
    write(folder / "split.csv", split);
    write(folder / "predictions.csv", predictions);
    write(folder / "metrics.jsonl",
          "{\"epoch\":0,\"loss\":0.7,\"validation_loss\":0.71}\n"
          "{\"epoch\":1,\"loss\":0.6,\"validation_loss\":0.69}\n");
    write(folder / "result.json", base::json_text({{"auroc", run.auroc},
                                                   {"degree_auroc", run.degree_auroc},
                                                   {"random_auroc", 0.5},
                                                   {"average_precision", run.auroc / 2},
                                                   {"degree_average_precision", run.degree_auroc / 2},
                                                   {"random_auprc", 0.25},
                                                   {"within_tf_auroc", run.within_tf_auroc},
                                                   {"within_gene_auroc", nullptr},
                                                   {"n_positive", 10},
                                                   {"n_negative", 30},
                                                   {"seed", run.run}}));
    end(plan.tasks.size() - 1, {.state = TaskState::done});
  }

  void end(std::size_t task, const Ending& ending) const {
    const auto folder = task_folder(out_, plan.tasks[task].name);
    std::filesystem::create_directories(folder);
    write(folder / "state.json", base::json_text({{"state", state_name(ending.state)},
                                                  {"attempt", 1},
                                                  {"digest", plan.tasks[task].digest},
                                                  {"launch", "made"},
                                                  {"code", ending.code},
                                                  {"error", ending.error},
                                                  {"hint", ending.hint},
                                                  {"seconds", 0.0}}));
  }

  Plan plan;

 private:
  /// Without the flush to disk that real tasks need: there are many.
  static void write(const std::filesystem::path& file, const std::string& text) {
    std::ofstream(file, std::ios::binary) << text;
  }

  std::filesystem::path out_;
};

}  // namespace mgrn::experiments::test
