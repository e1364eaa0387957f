// SPDX-License-Identifier: Apache-2.0
// Rankings of variable genes. `variance` comes from normalise.hpp; here is Seurat v3's `vst` (Stuart et al.,
// doi 10.1016/j.cell.2019.05.031): the variance of counts, standardised by what a local regression expects
// at that mean. `beeline` is `variance` over genes that are no TFs; that choice needs a TF list and is made
// in `pairs`.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mgrn::prepare {

/// Mean and sample variance (n - 1) of a gene's counts over all cells, zeros included.
struct CountMoments {
  double mean = 0.0;
  double variance = 0.0;
};
CountMoments count_moments(std::span<const float> counts, std::uint64_t cells);

/// Local quadratic regression with tricube weights over the nearest floor(span * n) points, evaluated at each
/// x. As in Cleveland and Grosse (doi 10.1007/BF01890836) the fit is computed at the vertices of a k-d tree
/// whose cells hold at most 0.2 * span * n points and blended by cubic Hermite polynomials between them.
/// Equal to scikit-misc (Scanpy's seurat_v3) to rounding where no x repeats; R's loess() sets its vertices
/// between points and differs in the third digit. Degenerate neighbourhoods get a lower degree.
std::vector<double> loess(std::span<const double> x, std::span<const double> y, double span);

/// Per gene the standard deviation expected at its mean: loess with span 0.3 of log10 variance on log10 mean
/// over genes with variance > 0. 0 for the others.
std::vector<double> expected_deviations(std::span<const CountMoments> genes);

/// Seurat v3's standardised variance of one gene: counts minus mean over the expected deviation, cut above at
/// sqrt(cells). 0 for a constant gene.
double standardised_variance(std::span<const float> counts, std::uint64_t cells, double mean,
                             double expected_deviation);

}  // namespace mgrn::prepare
