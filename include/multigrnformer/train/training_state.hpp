// SPDX-License-Identifier: Apache-2.0
// Everything that changes while a model is trained. What is here goes into a checkpoint; what is not here is
// a function of the settings. Epochs and steps count from 0.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "multigrnformer/base/json_fwd.hpp"
#include "multigrnformer/model/parameters.hpp"

namespace mgrn::train {

/// Fixed-point scale of the exact gradient sum: an index into kScales, and how long it has been fine.
struct ScaleState {
  int level = 0;
  int clean_steps = 0;  ///< usable steps in a row at this level
};

/// What the running epoch's line of metrics.jsonl needs, over the steps that changed the weights.
struct EpochSums {
  double loss = 0;  ///< summed over samples
  std::int64_t samples = 0;
  double gradient_norm = 0;  ///< summed over steps
  std::int64_t steps = 0;
  std::int64_t live_hidden = 0;  ///< summed over micro-batches
  std::int64_t units = 0;        ///< micro-batches
  std::int64_t skipped_steps = 0;
};

/// The epoch with the least validation loss so far.
struct BestEpoch {
  std::int64_t epoch = 0;
  double validation_loss = 0;
  std::vector<float> values;  ///< the weights after it, as large as Parameters::values()
};

struct TrainingState {
  explicit TrainingState(const model::Shape& shape) : TrainingState(model::Parameters(shape), 2) {}
  /// `moments` vectors of the optimiser: 2 for Adam, 1 for SGD.
  TrainingState(model::Parameters start, int moments)
      : parameters(std::move(start)),
        first_moment(parameters.values().size()),
        second_moment(moments == 2 ? first_moment.size() : 0) {}

  std::int64_t step = 0;           ///< steps done, skipped ones included
  std::int64_t epoch = 0;          ///< the running epoch
  std::int64_t step_in_epoch = 0;  ///< steps done of it
  model::Parameters parameters;
  std::vector<float> first_moment;   ///< Adam's, or SGD's momentum
  std::vector<float> second_moment;  ///< Adam's; empty with SGD
  std::int64_t adam_steps = 0;
  ScaleState scale;
  std::int64_t skipped_steps = 0;  ///< in the whole run
  int bad_steps_in_row = 0;
  EpochSums sums;
  std::optional<BestEpoch> best;
};

/// All but the three (with the best: four) weight vectors, as JSON; doubles survive exactly.
base::Json scalars_of(const TrainingState& state);
/// The reverse; leaves the vectors alone but for making room in `best`. Throws DataError for a missing entry.
void set_scalars(TrainingState& state, const base::Json& scalars);

}  // namespace mgrn::train
