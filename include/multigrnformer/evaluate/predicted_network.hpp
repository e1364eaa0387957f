// SPDX-License-Identifier: Apache-2.0
// Where a ranked list of edges ends, and what it says of each TF. Pure functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/formats/edge_table.hpp"

namespace mgrn::evaluate {

/// The first `edges` of a list, best first.
struct CutOff {
  std::size_t edges = 0;
  double expected_precision = 0;  ///< mean probability of these edges; 0 where there are none
};

/// The longest beginning of the list whose expected precision, the mean of its probabilities, is at least
/// `precision`. `probabilities` do not rise; edges of one probability stay together.
CutOff cut_at_precision(std::span<const double> probabilities, double precision);
/// The first `edges`, or all where there are fewer.
CutOff cut_at_edges(std::span<const double> probabilities, std::size_t edges);

/// A TF's targets above the cut-off.
struct Regulon {
  std::string tf = {};
  std::uint64_t targets = 0;
  double probability_sum = 0;  ///< expected number of true targets among them
  std::vector<std::string> top = {};
};

/// How many of a TF's best targets are named.
inline constexpr std::size_t kTopTargets = 10;

/// Every TF that has an edge in the list, also those with none above the cut-off; most targets first, then by
/// name. `probabilities` belong to table.edges, or are empty.
std::vector<Regulon> regulons(const formats::EdgeTable& table, std::span<const double> probabilities,
                              const CutOff& cut);

/// `tf,targets,top_targets` (names separated by ;) and, with probabilities, `probability_sum` before the
/// last.
void write_regulons(const std::filesystem::path& file, std::span<const Regulon> regulons,
                    bool with_probability);
/// `tf,gene,score` and, with probabilities, `probability`: the edges above the cut-off.
void write_selected_edges(const std::filesystem::path& file, const formats::EdgeTable& edges,
                          std::span<const double> probabilities, const CutOff& cut);

}  // namespace mgrn::evaluate
