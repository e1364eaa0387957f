// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "experiments/report/figures.hpp"
#include "experiments/report/gnuplot.hpp"
#include "experiments/report/page.hpp"
#include "experiments/report/tables.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/experiments/comparison.hpp"
#include "multigrnformer/experiments/report.hpp"
#include "multigrnformer/experiments/results.hpp"
#include "multigrnformer/experiments/statements.hpp"
#include "multigrnformer/experiments/task_queue.hpp"

namespace mgrn::experiments {
namespace {

namespace fs = std::filesystem;

/// Results that the plan has and the folder has not, in the order of the grid file. What is running is simply
/// not done: the report does not change with who is at work.
std::vector<MissingResult> missing_results(const Plan& plan, const fs::path& out) {
  std::vector<std::pair<std::uint64_t, MissingResult>> missing;
  for (const auto& task : grid_status(plan, out, system_evidence())) {
    const PlannedTask& planned = plan.tasks[task.task];
    if (!planned.result || task.status.state == TaskState::done) {
      continue;
    }
    std::string why = "not done";
    if (task.blocked) {
      why = "needs " + task.blocked_by + ", which failed";
    } else if (task.status.state == TaskState::failed) {
      why = "failed: " + task.status.ending.error;
    }
    missing.push_back({planned.result->row, {.task = planned.name, .why = why}});
  }
  std::sort(missing.begin(), missing.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<MissingResult> results;
  results.reserve(missing.size());
  for (auto& [row, result] : missing) {
    results.push_back(std::move(result));
  }
  return results;
}

bool wants_pdf(Pdf pdf, bool any_figure) {
  if (pdf == Pdf::never) {
    return false;
  }
  if (gnuplot_is_here()) {
    return any_figure;
  }
  if (pdf == Pdf::always) {
    throw base::UsageError(
        {.what = "no gnuplot to draw PDF files with",
         .expected = "gnuplot with its pdfcairo terminal in PATH",
         .got = "none",
         .hint = "install it (Debian: gnuplot-nox; clusters: module gnuplot), or leave out --pdf"});
  }
  if (any_figure) {
    base::warn(
        "no gnuplot with its pdfcairo terminal here: figures/*.pdf are left out (Debian: gnuplot-nox; "
        "clusters: module "
        "gnuplot). figures/*.gp draw them on any machine.");
  }
  return false;
}

void remove_earlier(const fs::path& folder, const std::vector<Figure>& figures, bool pdf) {
  for (const auto& name : figure_names()) {
    const bool stays =
        std::any_of(figures.begin(), figures.end(), [&](const Figure& one) { return one.name == name; });
    for (const char* ending : {".svg", ".gp", ".pdf"}) {
      // A PDF that is not drawn anew would show other results than the page.
      if (!stays || (std::string_view(ending) == ".pdf" && !pdf)) {
        std::error_code ignored;
        fs::remove(folder / (name + ending), ignored);
      }
    }
  }
}

}  // namespace

std::string write_report(const Plan& plan, const fs::path& out, Pdf pdf) {
  if (pdf == Pdf::always) {
    static_cast<void>(wants_pdf(pdf, true));
  }
  write_results(plan, out);
  const auto missing = missing_results(plan, out);
  const auto groups = group_runs(finished_runs(plan, out));
  TestShares shares;
  const auto summaries = summarise(groups, shares);
  const auto comparisons = compare_groups(groups);
  std::vector<std::string> explanations;
  explanations.reserve(groups.size());
  for (const auto& group : groups) {
    explanations.push_back(explain_score(group, controls_beside(group, groups), shares.of(group)));
  }
  const auto figures = make_figures(groups, out);
  const bool with_pdf = wants_pdf(pdf, !figures.empty());
  base::write_file_atomically(out / "summary.csv", summary_table(summaries));
  base::write_file_atomically(out / "comparisons.csv", comparisons_table(comparisons));
  const fs::path folder = out / "figures";
  base::create_directories(folder);
  remove_earlier(folder, figures, with_pdf);
  for (const auto& figure : figures) {
    base::write_file_atomically(folder / (figure.name + ".svg"), svg_figure(figure));
    base::write_file_atomically(folder / (figure.name + ".gp"), gnuplot_script(figure));
    if (with_pdf) {
      draw_with_gnuplot(folder / (figure.name + ".gp"), folder / (figure.name + ".pdf"));
    }
  }
  base::write_file_atomically(out / "report.html", report_page({.groups = groups,
                                                                .summaries = summaries,
                                                                .comparisons = comparisons,
                                                                .figures = figures,
                                                                .missing = missing,
                                                                .explanations = explanations}));
  std::string text;
  if (!missing.empty()) {
    text += fmt::format(
        "{} of {} results are missing; the report says which\n", missing.size(), missing.size() + [&] {
          std::size_t there = 0;
          for (const auto& group : groups) {
            there += group.runs.size();
          }
          return there;
        }());
  }
  text +=
      fmt::format("report in {}, {} figures in {}, tables in results.csv, summary.csv and comparisons.csv\n",
                  (out / "report.html").string(), figures.size(), folder.string());
  return text;
}

}  // namespace mgrn::experiments
