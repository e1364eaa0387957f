// SPDX-License-Identifier: Apache-2.0
// The leading principal components of genes' expression profiles, from sparse columns. Internal to the room.
#pragma once

#include <cstdint>
#include <vector>

#include "correlation.hpp"

namespace mgrn::baselines {

/// Genes x components, row-major: the genes' loadings on the principal components of their covariance over
/// cells, each scaled by the component's standard deviation x sqrt(cells) (U S of the centred genes x cells
/// matrix), largest first; the largest loading of a component is positive. Columns beyond the rank are 0. By
/// subspace iteration from a random start drawn from `seed` (Halko et al., doi 10.1137/090771806), until the
/// components' variances stand still, at most 15 times: where the last ones hardly differ from noise, that
/// many passes find the space they span nearly, which is all that a feature needs. One thread; a pure
/// function.
std::vector<double> principal_components(const std::vector<Deviations>& genes, std::uint32_t cells,
                                         std::size_t components, std::uint64_t seed);

}  // namespace mgrn::baselines
