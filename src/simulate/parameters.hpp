// SPDX-License-Identifier: Apache-2.0
// The fixed magnitudes of the generator, all natural logarithms of rates unless said otherwise. Why each has
// its value stands in docs/simulation.md; they were set before any model was trained on the data.
#pragma once

#include <cstddef>

namespace mgrn::simulate {

// Expression
inline constexpr double kGeneLevelSpread =
    1.0;                                  ///< SD between genes; e^1 is the usual spread of expressed genes
inline constexpr double kTfLevel = -0.5;  ///< TFs are expressed less than other genes
inline constexpr double kStateGeneSpread = 0.3;      ///< differences between cell types that no rule explains
inline constexpr double kMitochondrialShare = 0.05;  ///< of a good cell's counts
inline constexpr double kCouplingOfMrna = 0.9;       ///< correlation of a TF's mRNA level with its activity

// Regulation
inline constexpr double kWeightMedian = 0.6;  ///< 1.8-fold per unit of activity
inline constexpr double kWeightSpread = 0.4;
inline constexpr double kSaturation =
    3.0;  ///< no set of TFs changes a gene more than e^3 = 20-fold either way
inline constexpr double kInDegreeSpread = 0.6;
inline constexpr std::size_t kPrograms = 3;    ///< of activity that TFs share within a cell type
inline constexpr double kProgramShare = 0.15;  ///< of the variance between cells of a type

// Chromatin
inline constexpr double kPromoterLevel = 2.0;  ///< a promoter is open in about a third of the cells
inline constexpr double kPromoterSpread = 0.6;
inline constexpr double kEnhancerLevel = 0.3;
inline constexpr double kEnhancerSpread = 0.8;
inline constexpr double kBackgroundLevel = -0.7;
inline constexpr double kBackgroundSpread = 0.9;
inline constexpr double kStatePeakSpread = 0.5;  ///< differences between cell types
inline constexpr double kThroughPromoter = 0.5;  ///< share of a gene's edges that use its promoter
inline constexpr double kThroughEnhancer = 0.4;  ///< share of a gene's edges that use one of its enhancers
inline constexpr double kPioneerOpening = 1.2;   ///< of a bound peak per unit of activity
inline constexpr double kOtherOpening = 0.4;
inline constexpr double kOpeningSaturation = 2.0;  ///< a peak opens or closes at most seven-fold
inline constexpr double kOpenChromatinGain =
    0.5;  ///< of a gene's rate per unit of its peaks' mean log accessibility
inline constexpr double kLeastOpenness =
    0.2;  ///< an edge never loses more than this factor through its peaks,
inline constexpr double kMostOpenness = 3.0;  ///< nor gains more than this one

// Measurement
inline constexpr double kDepthCorrelation = 0.7;  ///< of a cell's RNA and ATAC depth, as logarithms
inline constexpr double kDamagedDepth = 0.2;      ///< a damaged cell keeps this part of its counts
inline constexpr double kDamagedMitochondria = 5.0;

}  // namespace mgrn::simulate
