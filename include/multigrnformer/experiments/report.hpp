// SPDX-License-Identifier: Apache-2.0
// The report of a grid, finished or not: tables for machines, figures, and one page for people. Not
// collective: one rank writes. The same results give the same bytes, PDF files the same for one version of
// gnuplot.
#pragma once

#include <filesystem>
#include <string>

#include "multigrnformer/experiments/plan.hpp"

namespace mgrn::experiments {

/// PDF files are drawn by gnuplot, a program of its own that may not be there.
enum class Pdf {
  when_possible,  ///< without gnuplot: said in a warning
  always,         ///< without gnuplot: UsageError, before any work
  never,
};

/// Writes into DIR: results.csv, summary.csv, comparisons.csv, figures/NAME.svg, .gp and .pdf, and last
/// report.html, which needs none of the others. Each file atomically; figures of an earlier report that this
/// one does not have are removed. Returns what was written, for people. Throws DataError for a finished run
/// whose files cannot be read, OutputError.
std::string write_report(const Plan& plan, const std::filesystem::path& out, Pdf pdf = Pdf::when_possible);

}  // namespace mgrn::experiments
