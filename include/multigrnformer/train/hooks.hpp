// SPDX-License-Identifier: Apache-2.0
// The seam through which tests and fault drills reach into a running training: deterministic places, named by
// rank, step and site, the same in every run. Empty in normal use.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

namespace mgrn::train {

/// Places that a training passes, in the order in which a step comes by them.
enum class Site {
  step,      ///< a step begins
  compute,   ///< a micro-batch is about to be computed, by the thread that does
  reduce,    ///< the gradient is about to be summed over the ranks, which cannot be told of an error any more
  validate,  ///< an epoch has ended, its validation loss is about to be computed
  save,      ///< a checkpoint is about to be written
  saved,     ///< it has been handed over to be written
  test,      ///< training is over, the test pairs are about to be scored
};

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
  /// Called on this rank as it passes a site; `step` counts from 0 those that are done. May throw.
  std::function<void(Site site, std::int64_t step)> at = {};

  void pass(Site site, std::int64_t step) const {
    if (at) {
      at(site, step);
    }
  }
};

}  // namespace mgrn::train
