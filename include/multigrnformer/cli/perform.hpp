// SPDX-License-Identifier: Apache-2.0
// What a command does, without what it says: for the commands themselves and for the tasks of a grid.
#pragma once

#include "multigrnformer/base/json_fwd.hpp"
#include "multigrnformer/cli/config.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/prepare/prepare.hpp"
#include "multigrnformer/simulate/simulate.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::cli {

/// Collective. Writes the simulated files into config.out.
simulate::Summary perform_simulation(const Config& config, comm::Communicator& world);
/// Collective. Writes the dataset file config.out.
prepare::Report perform_preparation(Config& config, comm::Communicator& world);
/// Collective. Writes config.out/inspect.json, what `inspect --json` says.
void perform_inspection(const Config& config, comm::Communicator& world);
/// Throws UsageError unless the keys suffice for `job`. Not collective.
void check_training(const Config& config, train::Job job);
/// Collective. One run, or config.runs of them, in config.out; returns result.json's or summary.json's
/// content.
base::Json perform_training(Config& config, comm::Communicator& world, train::Job job);
/// As check_training and perform_training, for config.baseline.method.
void check_baseline(const Config& config);
base::Json perform_baseline(Config& config, comm::Communicator& world);
/// Collective. Reports on the grid in config.out, on stdout too.
void perform_report(const Config& config, comm::Communicator& world);

}  // namespace mgrn::cli
