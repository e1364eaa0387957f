// SPDX-License-Identifier: Apache-2.0
// One run of a baseline in its folder, which looks like one of `train`: config.ini, run_info.json, split.csv,
// predictions.csv, result.json and, for methods that score pairs, rankedEdges.csv with all regulators x
// targets. Byte-identical on any number of ranks and threads, all but run_info.json. A finished run of the
// same settings is not done again.
#pragma once

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/baselines/options.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/train/hooks.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::baselines {

/// Collective. Returns result.json's content, on every rank. `settings` and `options` must be the same on
/// every rank (settings.config_text is compared, and must tell of the options). Errors, on every rank alike:
/// UsageError (64), DataError (65), OutputError (74), Stopped (75), NumericError (77).
base::Json run_baseline(const train::Settings& settings, const Options& options,
                        comm::Communicator& communicator, const train::Hooks& hooks = {});

}  // namespace mgrn::baselines
