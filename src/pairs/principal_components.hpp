// SPDX-License-Identifier: Apache-2.0
// The first principal components of a few thousand genes over many cells, from sparse rows. Internal to the
// room.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "multigrnformer/store/dataset.hpp"

namespace mgrn::pairs {

/// A gene's profile over the cells with mean 0 and variance 1: `background` in cells without an entry. All 0
/// for a gene without variance.
struct StandardRow {
  std::vector<std::uint32_t> cell;
  std::vector<double> value;
  double background = 0;

  StandardRow(const store::GeneRow& row, double row_background, std::uint32_t cells);
  /// Sum over all cells of the profile times `weights`, whose sum is `total`.
  double dot(std::span<const double> weights, double total) const;
};

/// `wanted` orthonormal vectors over the cells, [wanted][cells], by falling singular value: the right
/// singular vectors of the rows. Block power iteration with Rayleigh-Ritz (Halko, Martinsson and Tropp 2011,
/// doi 10.1137/090771806) from a start that Philox draws with `seed`; of the two signs the one whose largest
/// entry in magnitude is positive. Where the rows have fewer components, the rest is 0. One thread, in a
/// fixed order, in float64.
std::vector<double> principal_components(std::span<const StandardRow> rows, std::uint32_t cells, int wanted,
                                         std::uint64_t seed);

}  // namespace mgrn::pairs
