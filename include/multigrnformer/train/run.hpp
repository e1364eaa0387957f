// SPDX-License-Identifier: Apache-2.0
// One run of `train`, `pretrain` or `finetune` in its folder: data, split, training, test predictions,
// metrics.
//
// The folder is settings.out. When it holds a checkpoint of the same work the run goes on from there; when it
// holds a finished run of the same settings nothing is done again. Byte-identical on any number of ranks and
// threads, interrupted or not (train.reduction = exact): config.ini, split.csv, model.safetensors,
// predictions.csv, result.json and, but for samples_per_s, metrics.jsonl.
#pragma once

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/train/hooks.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::train {

/// Collective. Returns result.json's content, on every rank. `settings` must be the same on every rank (it is
/// compared). Errors, on every rank alike: UsageError (a key, another config in the folder, a device this
/// build lacks), DataError (inputs, leak of test pairs), OutputError, NumericError (77, too many non-finite
/// steps in a row), Stopped (75, a checkpoint is written).
base::Json run_training(const Settings& settings, comm::Communicator& communicator, const Hooks& hooks = {});

}  // namespace mgrn::train
