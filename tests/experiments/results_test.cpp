// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/results.hpp"

#include <gtest/gtest.h>

#include "experiments/small_plans.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/formats/table.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::experiments {
namespace {

using mgrn::test::TemporaryDirectory;

/// Three runs in another order than the grid file's, and a task without a result.
Plan plan_with_results() {
  Plan plan = test::small_plan({{"run-3", {}}, {"run-1", {}}, {"run-2", {}}, {"pretrain", {}}});
  for (std::size_t i = 0; i < 3; ++i) {
    const auto run = static_cast<std::uint64_t>(plan.tasks[i].name.back() - '0');
    plan.tasks[i].result = ResultLabels{.setting = "human",
                                        .method = "multigrnformer",
                                        .strategy = "standard",
                                        .omics = "rna+atac",
                                        .run = run,
                                        .row = run - 1};
  }
  return plan;
}

void finish(const Plan& plan, const std::filesystem::path& out, const std::string& name,
            const std::string& result, TaskState state = TaskState::done) {
  const auto folder = task_folder(out, name);
  base::create_directories(folder);
  base::write_file_atomically(folder / "result.json", result);
  base::write_file_atomically(folder / "config.ini",
                              "[pairs]\nnegatives = network\nsplit = edge\n\n[cross]\nleak = none\n");
  write_ending(folder, plan.tasks[plan.index_of(name)].digest, 1, this_claimant("l"), {.state = state});
}

TEST(Results, HaveARowForEachFinishedRunInTheOrderOfTheGridFile) {
  const TemporaryDirectory folder;
  const Plan plan = plan_with_results();
  write_results(plan, folder.path());
  EXPECT_EQ(formats::Table::read(folder / "results.csv").rows(), 0U);
  EXPECT_EQ(results_summary(plan, folder.path()), "no result yet\n");

  finish(plan, folder.path(), "run-3",
         R"({"auroc": 0.75, "degree_auroc": 0.625, "n_positive": 18, "seed": 3})");
  finish(plan, folder.path(), "run-1",
         R"({"auroc": 0.5, "degree_auroc": null, "n_positive": 19, "seed": 1})");
  finish(plan, folder.path(), "run-2", R"({"auroc": 0.9})", TaskState::failed);
  finish(plan, folder.path(), "pretrain", R"({"auroc": 0.1})");
  write_results(plan, folder.path());
  const auto table = formats::Table::read(folder / "results.csv");
  EXPECT_EQ(table.column("run"), (std::vector<std::string>{"1", "3"}));
  EXPECT_EQ(table.column("auroc"), (std::vector<std::string>{"0.5", "0.75"}));
  EXPECT_EQ(table.column("degree_auroc"), (std::vector<std::string>{"", "0.625"}));
  EXPECT_EQ(table.column("n_positive"), (std::vector<std::string>{"19", "18"}));
  EXPECT_EQ(table.column("omics"), (std::vector<std::string>{"rna+atac", "rna+atac"}));
  EXPECT_EQ(table.column("negatives"), (std::vector<std::string>{"network", "network"}));
  EXPECT_EQ(table.column("split"), (std::vector<std::string>{"edge", "edge"}));
  EXPECT_EQ(table.column("leak"), (std::vector<std::string>{"", ""})) << "nothing was pretrained";
}

TEST(Results, SummaryIsMeanAndStandardDeviationOverRuns) {
  const TemporaryDirectory folder;
  const Plan plan = plan_with_results();
  finish(plan, folder.path(), "run-1", R"({"auroc": 0.5, "average_precision": 0.25})");
  EXPECT_NE(results_summary(plan, folder.path()).find("0.5000"), std::string::npos);
  EXPECT_EQ(results_summary(plan, folder.path()).find("±"), std::string::npos) << "one run has no deviation";
  finish(plan, folder.path(), "run-2", R"({"auroc": 0.7, "average_precision": 0.25})");
  finish(plan, folder.path(), "run-3", R"({"auroc": 0.9, "average_precision": 0.25})");
  const std::string summary = results_summary(plan, folder.path());
  EXPECT_NE(summary.find("0.7000 ± 0.2000"), std::string::npos) << summary;
  EXPECT_NE(summary.find("0.2500 ± 0.0000"), std::string::npos) << summary;
}

TEST(Results, AResultThatIsGoneIsNamed) {
  const TemporaryDirectory folder;
  const Plan plan = plan_with_results();
  finish(plan, folder.path(), "run-1", "{}");
  std::filesystem::remove(task_folder(folder.path(), "run-1") / "result.json");
  EXPECT_THROW(results_table(plan, folder.path()), base::DataError);
}

}  // namespace
}  // namespace mgrn::experiments
