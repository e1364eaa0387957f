// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/training_state.hpp"

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"

namespace mgrn::train {

base::Json scalars_of(const TrainingState& state) {
  base::Json best = nullptr;
  if (state.best) {
    best = {{"epoch", state.best->epoch}, {"validation_loss", state.best->validation_loss}};
  }
  return {{"step", state.step},
          {"epoch", state.epoch},
          {"step_in_epoch", state.step_in_epoch},
          {"adam_steps", state.adam_steps},
          {"scale", {{"level", state.scale.level}, {"clean_steps", state.scale.clean_steps}}},
          {"skipped_steps", state.skipped_steps},
          {"bad_steps_in_row", state.bad_steps_in_row},
          {"epoch_so_far",
           {{"loss", state.sums.loss},
            {"samples", state.sums.samples},
            {"gradient_norm", state.sums.gradient_norm},
            {"steps", state.sums.steps},
            {"live_hidden", state.sums.live_hidden},
            {"units", state.sums.units},
            {"skipped_steps", state.sums.skipped_steps}}},
          {"best", best}};
}

void set_scalars(TrainingState& state, const base::Json& scalars) {
  try {
    state.step = scalars.at("step").get<std::int64_t>();
    state.epoch = scalars.at("epoch").get<std::int64_t>();
    state.step_in_epoch = scalars.at("step_in_epoch").get<std::int64_t>();
    state.adam_steps = scalars.at("adam_steps").get<std::int64_t>();
    state.scale.level = scalars.at("scale").at("level").get<int>();
    state.scale.clean_steps = scalars.at("scale").at("clean_steps").get<int>();
    state.skipped_steps = scalars.at("skipped_steps").get<std::int64_t>();
    state.bad_steps_in_row = scalars.at("bad_steps_in_row").get<int>();
    const base::Json& sums = scalars.at("epoch_so_far");
    state.sums.loss = sums.at("loss").get<double>();
    state.sums.samples = sums.at("samples").get<std::int64_t>();
    state.sums.gradient_norm = sums.at("gradient_norm").get<double>();
    state.sums.steps = sums.at("steps").get<std::int64_t>();
    state.sums.live_hidden = sums.at("live_hidden").get<std::int64_t>();
    state.sums.units = sums.at("units").get<std::int64_t>();
    state.sums.skipped_steps = sums.at("skipped_steps").get<std::int64_t>();
    state.best.reset();
    if (const base::Json& best = scalars.at("best"); !best.is_null()) {
      state.best = BestEpoch{.epoch = best.at("epoch").get<std::int64_t>(),
                             .validation_loss = best.at("validation_loss").get<double>(),
                             .values = std::vector<float>(state.parameters.values().size())};
    }
  } catch (const base::Json::exception& error) {
    throw base::DataError({.what = "a checkpoint's manifest is incomplete",
                           .got = error.what(),
                           .hint = "remove that checkpoint; the one before it is used then"});
  }
}

}  // namespace mgrn::train
