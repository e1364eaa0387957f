// SPDX-License-Identifier: Apache-2.0
// report.html: one page that loads nothing, reads without scripts, on a phone, in light and dark. Pure.
#pragma once

#include <string>
#include <vector>

#include "experiments/report/tables.hpp"
#include "multigrnformer/experiments/chart.hpp"
#include "multigrnformer/experiments/comparison.hpp"
#include "multigrnformer/experiments/run_groups.hpp"

namespace mgrn::experiments {

/// A result that is not there yet.
struct MissingResult {
  std::string task;
  std::string why;  ///< "not done", or the error it failed with
};

struct PageContent {
  const std::vector<RunGroup>& groups;
  const std::vector<Summary>& summaries;
  const std::vector<Comparison>& comparisons;
  const std::vector<Figure>& figures;
  const std::vector<MissingResult>& missing;
  /// One explanation for each group, in their order.
  const std::vector<std::string>& explanations;
};

std::string report_page(const PageContent& content);

/// The page's own style sheet and script.
extern const char* const kPageStyle;
extern const char* const kPageScript;

}  // namespace mgrn::experiments
