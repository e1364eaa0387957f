// SPDX-License-Identifier: Apache-2.0
// One gene's values over all cells -> what the dataset stores. All sums are in double, in cell order, so a
// row's result depends on the row alone.
#pragma once

#include <cstdint>
#include <span>

#include "multigrnformer/prepare/settings.hpp"

namespace mgrn::prepare {

inline constexpr double kCountsPerCell = 10000.0;  ///< every cell's counts are scaled to this sum

struct RowSummary {
  float background = 0.0f;  ///< transformed value of a cell without an entry
  double variance = 0.0;    ///< population variance before z-scoring
};

/// Transforms a gene's non-zero values. `cell` ascending; `library_size` per cell (all cells), the sum of its
/// counts; used by lognorm only. `out` has the length of `raw`. A gene with one value everywhere has z = 0.
RowSummary normalise_rna_row(RnaNormalisation normalisation, double clip,
                             std::span<const double> library_size, std::span<const std::uint32_t> cell,
                             std::span<const float> raw, std::span<float> out);

/// Transforms a gene's regulatory potential; `rp` > 0, of `cells` cells in all.
RowSummary normalise_rp_row(RpNormalisation normalisation, double clip, std::uint64_t cells,
                            std::span<const double> rp, std::span<float> out);

}  // namespace mgrn::prepare
