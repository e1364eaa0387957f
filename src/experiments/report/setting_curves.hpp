// SPDX-License-Identifier: Apache-2.0
// ROC, precision-recall and training curves, panel by panel for each setting, averaged over runs.
#pragma once

#include <vector>

#include "multigrnformer/experiments/chart.hpp"
#include "multigrnformer/experiments/run_groups.hpp"

namespace mgrn::experiments {

/// Figures roc, precision-recall and training; the last without panels where no method trains. Shows
/// progress. Throws DataError.
std::vector<Figure> setting_curves(const std::vector<RunGroup>& groups);

}  // namespace mgrn::experiments
