// SPDX-License-Identifier: Apache-2.0
// Repeated runs of one setting: run r = 1..R has its own split (pairs.seed + r - 1) and its own weights,
// order and cells (train.seed + r - 1), in DIR/run-r; DIR/summary.json holds mean and standard deviation.
#pragma once

#include <functional>

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/train/hooks.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::train {

/// Settings of run `run` (from 1) of a repeated setting: seeds, folder and config text. Run 1 equals the
/// single run but for its folder.
Settings settings_of_run(const Settings& settings, int run);

/// Collective. All ranks work on each run in turn; finished runs are not repeated, an interrupted one goes
/// on. Returns summary.json's content. UsageError when a split file is given with more than one run: every
/// run would have the same split.
base::Json run_repeats(const Settings& settings, int runs, comm::Communicator& communicator,
                       const Hooks& hooks = {});
/// The same with anything that does one run in its folder and returns result.json's content; collective.
base::Json run_repeats(const Settings& settings, int runs, comm::Communicator& communicator,
                       const std::function<base::Json(const Settings&)>& run_once);

}  // namespace mgrn::train
