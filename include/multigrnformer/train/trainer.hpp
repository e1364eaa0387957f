// SPDX-License-Identifier: Apache-2.0
// The training loop. Per step: the planned batch is cut into micro-batches, each computed by exactly one
// thread of one rank; their gradients are summed exactly and reduced once; every rank takes the same Adam
// step.
//
// A step with a non-finite gradient is skipped on all ranks and counted; settings.stop_after_bad_steps of
// them in a row end the run with NumericError. A gradient too large for the fixed-point scale repeats the
// step with a smaller one; after 100 clean steps the scale goes back up by one. Epoch ends: validation loss,
// best epoch, a line of metrics.jsonl. A stop signal on any rank is agreed on in each step and leaves a
// checkpoint.
#pragma once

#include <cstdint>
#include <optional>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/comm/nccl.hpp"
#include "multigrnformer/model/parameters.hpp"
#include "multigrnformer/train/checkpoint.hpp"
#include "multigrnformer/train/compute_team.hpp"
#include "multigrnformer/train/hooks.hpp"
#include "multigrnformer/train/run_folder.hpp"
#include "multigrnformer/train/settings.hpp"
#include "multigrnformer/train/sources.hpp"
#include "multigrnformer/train/training_state.hpp"

namespace mgrn::train {

struct TrainingOutcome {
  model::Parameters weights;       ///< of the chosen epoch
  std::int64_t chosen_epoch = -1;  ///< from 0; -1: no epoch was trained
  std::int64_t steps = 0;          ///< skipped ones included
  std::int64_t skipped_steps = 0;
  std::optional<double> validation_loss;  ///< of the chosen epoch, where the best one is chosen
};

/// Whether the epoch with the least validation loss is kept (there are enough validation pairs), or the last.
bool chooses_best_epoch(const Settings& settings, const Task& task);

/// Collective. `state` is where training stands (fresh or restored) and is moved on. `between_gpus`
/// (connect_gpus, may be null) reduces the gradients, in the GPUs' memories where engines sum there; all else
/// goes over `communicator`. Throws Stopped after a checkpoint, NumericError, OutputError; on every rank
/// alike.
TrainingOutcome train_model(const Settings& settings, const Task& task, ComputeTeam& team,
                            const RunFolder& folder, const Identity& identity, TrainingState& state,
                            comm::Communicator& communicator, comm::DeviceCommunicator* between_gpus,
                            const Hooks& hooks);

}  // namespace mgrn::train
