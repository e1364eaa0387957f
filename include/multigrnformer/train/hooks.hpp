// SPDX-License-Identifier: Apache-2.0
// The seam through which tests and fault drills reach into a running training: deterministic places, named by
// step and micro-batch, the same on any number of ranks. Empty in normal use.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

namespace mgrn::train {

struct Hooks {
  /// Stops as a signal would, with a checkpoint, once this many steps are done; 0: never. Counts steps of the
  /// whole run, so a resumed run stops again only at a later one.
  std::int64_t stop_after_step = 0;
  /// May change the gradient of micro-batch `unit` of step `step` (both from 0) before it is summed. Called
  /// by the thread that computed it, on the rank that owns it.
  std::function<void(std::int64_t step, std::int64_t unit, std::span<float> gradient)> tamper = {};
  /// Sees the mean loss over the batch of step `step` (from 0), of all ranks together, once the weights have
  /// taken the step; not called for a step that is skipped. On every rank.
  std::function<void(std::int64_t step, double loss)> after_step = {};
};

}  // namespace mgrn::train
