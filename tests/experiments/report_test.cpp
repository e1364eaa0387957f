// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/report.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "experiments/made_results.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/formats/table.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;
using mgrn::test::TemporaryDirectory;
using test::MadeGrid;
using test::MadeRun;

/// A grid that asks for every figure: two datasets with all strategies, other methods, omics, leak rules,
/// protocols, and values of N.
void fill(MadeGrid& grid) {
  double score = 0.5;
  const auto next = [&] { return score = score > 0.7 ? 0.501 : score + 0.0137; };
  for (const std::string dataset : {"bone", "mouse <brain>"}) {
    const auto add = [&](MadeRun run) {
      run.keys["data.dataset"] = dataset + ".h5";
      for (run.run = 1; run.run <= 2; ++run.run) {
        run.auroc = next();
        grid.add(run);
      }
    };
    const Keys pretrained = {{"train.init", "weights"}};
    for (const char* method : {"multigrnformer", "genie3"}) {
      add({.setting = dataset, .method = method});
    }
    add({.setting = dataset, .strategy = "augment", .keys = {{"pairs.augment", "5"}}});
    for (const char* strategy : {"cross", "both", "zero-shot"}) {
      add({.setting = dataset, .strategy = strategy, .keys = pretrained});
    }
    add({.setting = dataset + "-leaky",
         .strategy = "cross",
         .keys = {{"train.init", "weights"}, {"cross.leak", "same-dataset"}}});
    add({.setting = dataset + "-rna", .omics = "rna", .keys = {{"data.modalities", "rna"}}});
    add({.setting = dataset + "+matched", .keys = {{"pairs.negatives", "degree-matched"}}});
    for (const char* cells : {"100", "200", "1000"}) {
      add({.setting = dataset + "-" + cells, .keys = {{"model.cells", cells}}});
    }
    for (const char* factor : {"2", "3"}) {
      add({.setting = dataset,
           .strategy = std::string("augment-") + factor,
           .keys = {{"pairs.augment", factor}}});
    }
  }
}

std::map<std::string, std::string> files_in(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto name = fs::relative(entry.path(), folder).string();
    if (entry.is_regular_file() && name.rfind("tasks", 0) != 0) {
      files[name] = base::read_file(entry.path());
    }
  }
  return files;
}

std::set<std::string> figures_in(const fs::path& folder, const std::string& ending) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder / "figures")) {
    if (entry.path().extension() == ending) {
      names.insert(entry.path().stem().string());
    }
  }
  return names;
}

void expect_readable(const fs::path& folder) {
  const std::string command = "'" MGRN_PYTHON3 "' -B '" +
                              mgrn::test::source_path("tests/experiments/check_report.py") + "' '" +
                              folder.string() + "' > /dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

bool has_gnuplot() {
  return std::system("gnuplot -e 'set terminal pdfcairo' > /dev/null 2>&1") == 0;
}

/// The report that has everything, made once: each of its files is flushed to disk.
class FullReport : public testing::Test {
 public:
  static void SetUpTestSuite() {
    folder_ = new TemporaryDirectory;
    write(*folder_);
    files_ = new std::map<std::string, std::string>(files_in(folder_->path()));
  }
  static void TearDownTestSuite() {
    delete files_;
    delete folder_;
  }

 protected:
  static void write(const TemporaryDirectory& folder) {
    MadeGrid grid(folder.path());
    fill(grid);
    write_report(grid.plan, folder.path(), Pdf::never);
  }
  static fs::path path() { return folder_->path(); }
  static const std::map<std::string, std::string>& files() { return *files_; }

 private:
  static TemporaryDirectory* folder_;
  static std::map<std::string, std::string>* files_;
};
TemporaryDirectory* FullReport::folder_ = nullptr;
std::map<std::string, std::string>* FullReport::files_ = nullptr;

TEST_F(FullReport, HasAFigureForEachQuestionThatTheGridAsks) {
  EXPECT_EQ(figures_in(path(), ".svg"),
            (std::set<std::string>{"augmentation", "augmentation-factor", "benchmark", "leak", "omics",
                                   "parameter-cells", "precision-recall", "protocols", "roc", "strategies",
                                   "training", "zero-shot"}));
  EXPECT_EQ(figures_in(path(), ".gp"), figures_in(path(), ".svg"));
  for (const auto& name : figures_in(path(), ".svg")) {
    const std::string& svg = files().at("figures/" + name + ".svg");
    const bool has_controls =
        svg.find(">random<") != std::string::npos && svg.find(">degree-only<") != std::string::npos;
    EXPECT_TRUE(name == "training" ? svg.find(">a coin<") != std::string::npos : has_controls) << name;
  }
}

TEST_F(FullReport, IsWellFormedLoadsNothingAndShowsTheNumbersOfTheTable) {
  expect_readable(path());
}

TEST_F(FullReport, IsTheSameBytesEachTimeAndInAnotherFolder) {
  const TemporaryDirectory other;
  write(other);
  EXPECT_EQ(files(), files_in(other.path()));
  write(other);
  EXPECT_EQ(files(), files_in(other.path()));
}

TEST(Report, NamesWhatIsMissingAndWhy) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  grid.add({.run = 1});
  grid.plan_run({.run = 2});
  grid.plan_run({.run = 3});
  grid.end(2, {.state = TaskState::failed, .code = 65, .error = "no <TF> in common", .hint = "look"});
  const std::string said = write_report(grid.plan, folder.path(), Pdf::never);
  EXPECT_EQ(said.find("2 of 3 results are missing"), 0U) << said;
  const std::string page = base::read_file(folder / "report.html");
  EXPECT_NE(page.find("1 of 3 results"), std::string::npos);
  EXPECT_NE(page.find("run-2</code>: not done"), std::string::npos);
  EXPECT_NE(page.find("run-3</code>: failed: no &lt;TF&gt; in common"), std::string::npos);
  expect_readable(folder.path());
}

TEST(Report, OfAGridWithoutResultsSaysSo) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  grid.plan_run({});
  write_report(grid.plan, folder.path());
  EXPECT_NE(base::read_file(folder / "report.html").find("No result yet"), std::string::npos);
  EXPECT_TRUE(figures_in(folder.path(), ".svg").empty());
  expect_readable(folder.path());
}

TEST(Report, TakesAwayFiguresThatNoLongerHold) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  grid.add({});
  fs::create_directories(folder / "figures");
  for (const char* name : {"omics.svg", "omics.pdf", "benchmark.pdf", "my own.svg"}) {
    base::write_file_atomically(folder / "figures" / name, "old");
  }
  write_report(grid.plan, folder.path(), Pdf::never);
  EXPECT_FALSE(fs::exists(folder / "figures" / "omics.svg"));
  EXPECT_FALSE(fs::exists(folder / "figures" / "omics.pdf"));
  EXPECT_FALSE(fs::exists(folder / "figures" / "benchmark.pdf")) << "of other results";
  EXPECT_TRUE(fs::exists(folder / "figures" / "my own.svg"));
}

TEST(Report, DrawsTheCurveOfASearch) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  base::write_file_atomically(
      folder / "search.csv",
      "setting,omics,run,point,folds,state,auroc,auroc_sd,degree_auroc,average_precision,"
      "average_precision_sd,random_auprc,degree_average_precision,model.cells,model.layers\n"
      "bone,rna+atac,1,1,5,best,0.6,0.01,0.85,0.2,0.01,0.1,0.4,100,2\n"
      "bone,rna+atac,1,2,5,finished,0.59,0.01,0.85,0.2,0.01,0.1,0.4,200,2\n"
      "bone,rna+atac,1,3,3,discarded,0.55,0.01,0.85,0.2,0.01,0.1,0.4,400,2\n"
      "bone,rna+atac,1,4,5,finished,0.58,0.01,0.85,0.2,0.01,0.1,0.4,100,1\n"
      "bone,rna+atac,1,5,0,unfinished,,,,,,,,100,3\n");
  write_report(grid.plan, folder.path(), Pdf::never);
  const std::string svg = base::read_file(folder / "figures" / "parameters.svg");
  EXPECT_NE(svg.find("bone: AUROC"), std::string::npos);
  EXPECT_NE(svg.find("mean over folds, model.cells 400: 0.550 ± 0.010 SD, 3 runs"), std::string::npos) << svg;
  EXPECT_EQ(svg.find("model.layers"), std::string::npos) << "two values are no curve";
  EXPECT_NE(svg.find(">degree-only<"), std::string::npos);
}

TEST(Report, DrawsPdfFilesByGnuplotWithoutADate) {
  if (!has_gnuplot()) {
    GTEST_SKIP() << "no gnuplot with its pdfcairo terminal";
  }
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  grid.add({.setting = "it's \"bone\"", .run = 1});
  grid.add({.setting = "it's \"bone\"", .run = 2});
  write_report(grid.plan, folder.path(), Pdf::always);
  EXPECT_EQ(figures_in(folder.path(), ".pdf"), figures_in(folder.path(), ".svg"));
  const std::string pdf = base::read_file(folder / "figures" / "benchmark.pdf");
  EXPECT_EQ(pdf.rfind("%PDF-", 0), 0U);
  EXPECT_NE(pdf.find("D:20000101000000"), std::string::npos);
  write_report(grid.plan, folder.path(), Pdf::always);
  EXPECT_EQ(pdf, base::read_file(folder / "figures" / "benchmark.pdf"));
}

TEST(Report, WithoutGnuplotLeavesThePdfOutOrRefusesBeforeItBegins) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  grid.add({});
  const std::string path = std::getenv("PATH");
  ASSERT_EQ(::setenv("PATH", folder.path().c_str(), 1), 0);
  EXPECT_THROW(write_report(grid.plan, folder.path(), Pdf::always), base::UsageError);
  EXPECT_FALSE(fs::exists(folder / "results.csv"));
  testing::internal::CaptureStderr();
  EXPECT_NO_THROW(write_report(grid.plan, folder.path(), Pdf::when_possible));
  testing::internal::GetCapturedStderr();
  ::setenv("PATH", path.c_str(), 1);
  EXPECT_TRUE(figures_in(folder.path(), ".pdf").empty());
  EXPECT_TRUE(figures_in(folder.path(), ".svg").contains("benchmark"));
  EXPECT_TRUE(fs::exists(folder / "report.html"));
}

TEST(Report, ARunWithoutItsSplitIsNamed) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  grid.add({});
  fs::remove(task_folder(folder.path(), grid.plan.tasks[0].name) / "split.csv");
  EXPECT_THROW(write_report(grid.plan, folder.path(), Pdf::never), base::DataError);
  EXPECT_FALSE(fs::exists(folder / "report.html"));
}

TEST(Report, TablesHoldIntervalsAndComparisons) {
  const TemporaryDirectory folder;
  MadeGrid grid(folder.path());
  for (const std::uint64_t run : {1, 2, 3}) {
    grid.add({.run = run, .auroc = 0.6 + 0.01 * static_cast<double>(run)});
    grid.add({.strategy = "augment", .run = run, .auroc = 0.65 + 0.01 * static_cast<double>(run)});
  }
  write_report(grid.plan, folder.path(), Pdf::never);
  const auto summary = formats::Table::read(folder / "summary.csv");
  EXPECT_EQ(summary.column("metric")[0], "auroc");
  EXPECT_EQ(summary.column("runs")[0], "3");
  EXPECT_NEAR(summary.numbers("mean")[0], 0.62, 1e-12);
  // Student's t with 2 degrees of freedom, variance (1/3 + 10/40) of the runs'.
  EXPECT_NEAR(std::stod(summary.column("interval_low")[0]),
              0.62 - 4.30265273 * std::sqrt(1.0 / 3 + 0.25) * 0.01, 1e-8);
  EXPECT_EQ(summary.column("degree")[0], "0.85");
  const auto comparisons = formats::Table::read(folder / "comparisons.csv");
  EXPECT_EQ(comparisons.column("setting")[0], "*");
  EXPECT_EQ(comparisons.column("setting")[1], "human");
  EXPECT_NEAR(comparisons.numbers("difference")[0], 0.05, 1e-12);
  EXPECT_EQ(comparisons.column("wins")[0], "1");
}

}  // namespace
}  // namespace mgrn::experiments
