// SPDX-License-Identifier: Apache-2.0
// The first principal components of a few thousand genes over many cells, from sparse rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "multigrnformer/store/dataset.hpp"

namespace mgrn::pairs {

/// A gene's values over the cells, as differences from their mean: `background` in cells without an entry.
struct Profile {
  std::vector<std::uint32_t> cell;
  std::vector<double> value;
  double background = 0;

  /// Sum over all cells of the profile times `weights`, whose sum is `total`.
  double dot(std::span<const double> weights, double total) const;
};

/// With mean 0; `values` are those of `cells`, `background` the other cells' value.
Profile centred(std::span<const std::uint32_t> cells, std::span<const float> values, double background,
                std::uint32_t all_cells);
/// With mean 0 and variance 1; all 0 for a gene without variance.
Profile standardised(const store::GeneRow& row, double background, std::uint32_t all_cells);

/// `wanted` orthonormal vectors over the cells, [wanted][cells], by falling singular value: the right
/// singular vectors of the profiles. Block power iteration with Rayleigh-Ritz (Halko, Martinsson and Tropp
/// 2011, doi 10.1137/090771806) from a start that Philox draws with `seed`; of the two signs the one whose
/// largest entry in magnitude is positive. In each of `passes` the share of the first component left out in
/// the last one wanted falls by the square of their singular values' ratio. Where the profiles have fewer
/// components, the rest is 0. One thread, in a fixed order, in float64; a pure function.
std::vector<double> principal_components(std::span<const Profile> profiles, std::uint32_t cells,
                                         std::size_t wanted, int passes, std::uint64_t seed);

}  // namespace mgrn::pairs
