// SPDX-License-Identifier: Apache-2.0
// What the figures of a grid mean, in plain words: how much of a score its controls explain, and what may be
// said about differences. Generated from the numbers alone. Pure functions, plain text.
#pragma once

#include <string>
#include <vector>

#include "multigrnformer/experiments/comparison.hpp"
#include "multigrnformer/experiments/run_groups.hpp"

namespace mgrn::experiments {

/// Statements that share what the heading says.
struct Statements {
  std::string heading;
  std::vector<std::string> lines;
};

/// Groups of controls on the same pairs; null where the grid has none.
struct ControlsBeside {
  const RunGroup* marginals = nullptr;
  const RunGroup* neighbours = nullptr;
};

/// Of one group: its AUROC against degree-only, the controls beside it and chance, then within TFs.
/// `test_share` as in TestShares.
std::string explain_score(const RunGroup& group, const ControlsBeside& controls, double test_share);
/// Those on the group's setting and under its protocol, but for the group itself.
ControlsBeside controls_beside(const RunGroup& group, const std::vector<RunGroup>& groups);

/// Of the whole grid, protocol by protocol: how each method, strategy and omics stands to degree-only and to
/// chance over settings.
std::vector<Statements> explain_grid(const std::vector<RunGroup>& groups);

/// Of one comparison: who wins how often, by how much, and whether chance would do the same. Where there are
/// too few settings to ask, it does not: explain_comparisons() says so once.
std::string explain_comparison(const Comparison& comparison);

/// The AUROC's comparisons against the first level of each kind ("standard", the first method), by what they
/// share.
std::vector<Statements> explain_comparisons(const std::vector<Comparison>& comparisons);

/// "degree-matched negatives, edge split": a protocol for people. The leak rule is told where it is not
/// `none`.
std::string describe(const Protocol& protocol);

}  // namespace mgrn::experiments
