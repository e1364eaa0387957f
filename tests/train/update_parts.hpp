// SPDX-License-Identifier: Apache-2.0
// Steps of an Update on made-up gradients of micro-batches, dealt out to ranks and threads.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

#include "multigrnformer/train/update.hpp"
#include "reduction_parts.hpp"

namespace mgrn::train::test {

inline constexpr std::uint64_t kUnits = 5;
inline constexpr std::uint64_t kSteps = 4;

struct Variant {
  OptimizerKind optimizer = OptimizerKind::adam;
  double clip = 0;
  Freeze freeze = Freeze::none;
};

// 5,408 weights: several blocks of the optimiser's, the last one shorter.
inline Settings small_settings(int threads, const Variant& variant) {
  Settings settings;
  settings.shape = {.cells = 40, .width = 4, .heads = 4, .layers = 1, .hidden = 31};
  settings.micro_batch = 2;
  settings.threads = threads;
  settings.optimizer = variant.optimizer;
  settings.adam.clip = settings.sgd.clip = variant.clip;
  settings.adam.weight_decay = settings.sgd.weight_decay = 0.01;
  settings.adam.freeze = variant.freeze;
  return settings;
}

/// In the middle of a training.
inline TrainingState small_state(const Settings& settings) {
  TrainingState state(model::Parameters(settings.shape), settings.optimizer == OptimizerKind::adam ? 2 : 1);
  model::initialise(state.parameters, 1);
  state.adam_steps = 2;
  for (std::size_t i = 0; i < state.first_moment.size(); ++i) {
    state.first_moment[i] = 0.01f * static_cast<float>(i % 7);
  }
  for (std::size_t i = 0; i < state.second_moment.size(); ++i) {
    state.second_moment[i] = 0.02f * static_cast<float>(i % 5);
  }
  return state;
}

struct StepResult {
  ReductionOutcome outcome;
  double norm = 0;
  std::vector<float> weights;
  bool operator==(const StepResult& other) const {
    return outcome.units == other.outcome.units && outcome.loss == other.outcome.loss &&
           outcome.live_hidden == other.outcome.live_hidden && norm == other.norm && weights == other.weights;
  }
};

struct Training {
  std::vector<StepResult> steps;
  TrainingState end;
};

/// What every way must give: one exact sum, and one step on the whole gradient.
inline Training expected_training(const Variant& variant) {
  const Settings settings = small_settings(1, variant);
  Training training{.steps = {}, .end = small_state(settings)};
  TrainingState& state = training.end;
  const auto optimizer = make_optimizer(state.parameters, settings, state.first_moment, state.second_moment);
  optimizer->set_steps(state.adam_steps);
  const auto self = comm::make_self_communicator();
  const auto sum = make_exact_sum(state.first_moment.size());
  std::vector<float> gradient(state.first_moment.size());
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    sum->start(40);
    for (std::uint64_t unit = 0; unit < kUnits; ++unit) {
      sum->add(unit_gradient(step * kUnits + unit, gradient.size()), unit_statistics(unit));
    }
    StepResult result;
    result.outcome = sum->reduce(*self, 3, gradient);
    result.norm = optimizer->step(state.parameters, gradient, 0.5);
    result.weights.assign(state.parameters.values().begin(), state.parameters.values().end());
    training.steps.push_back(result);
  }
  state.adam_steps = optimizer->steps();
  return training;
}

using MakeUpdate = std::function<std::unique_ptr<Update>(ComputeTeam&, TrainingState&, const Settings&,
                                                         comm::Communicator&)>;

/// Collective. Unit u belongs to rank u mod size, there to thread (u / size) mod threads. Before step 2 there
/// is an attempt with a micro-batch out of range, which must leave no trace.
inline void expect_same_training(const Training& expected, comm::Communicator& communicator, int threads,
                                 const Variant& variant, const MakeUpdate& make) {
  const Settings settings = small_settings(threads, variant);
  ComputeTeam team(settings);
  TrainingState state = small_state(settings);
  const auto update = make(team, state, settings, communicator);
  const auto size = static_cast<std::uint64_t>(communicator.size());
  const auto rank = static_cast<std::uint64_t>(communicator.rank());
  const auto attempt = [&](std::uint64_t step, bool spoilt) {
    team.run([&](int thread) {
      GradientSum& sum = update->sum(thread);
      sum.start(40);
      for (std::uint64_t unit = rank; unit < kUnits; unit += size) {
        if (unit / size % static_cast<std::uint64_t>(threads) == static_cast<std::uint64_t>(thread)) {
          auto gradient = unit_gradient(step * kUnits + unit, state.first_moment.size());
          if (spoilt && unit == 1) {
            gradient[777] = 5000;
          }
          sum.add(gradient, unit_statistics(unit));
        }
      }
      update->close(thread, false);
    });
    communicator.barrier();
    return update->reduce(3);
  };
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    if (step == 2) {
      EXPECT_EQ(attempt(step, true).units_out_of_range, 1);
    }
    StepResult result;
    result.outcome = attempt(step, false);
    ASSERT_TRUE(result.outcome.usable());
    result.norm = update->apply(0.5);
    result.weights.assign(state.parameters.values().begin(), state.parameters.values().end());
    ASSERT_TRUE(result == expected.steps[step]) << "step " << step << " on rank " << rank;
  }
  EXPECT_EQ(update->steps(), expected.end.adam_steps);
  update->store(state);
  EXPECT_EQ(state.first_moment, expected.end.first_moment);
  EXPECT_EQ(state.second_moment, expected.end.second_moment);
  EXPECT_EQ(state.adam_steps, expected.end.adam_steps);
  communicator.barrier();  // the moments may be shared
}

inline std::unique_ptr<Update> whole_and_exact(ComputeTeam& team, TrainingState& state,
                                               const Settings& settings, comm::Communicator& communicator) {
  return make_whole_update(team, state, settings, communicator, nullptr);
}

}  // namespace mgrn::train::test
