// SPDX-License-Identifier: Apache-2.0
// What leads from the micro-batches' gradients to the next weights: their sum over all threads and ranks, and
// the optimiser's step. All ways give the same bits, which do not depend on the number of threads and ranks:
//
//   sliced  exact sums in memory that the ranks of a node share. Every thread of every rank adds up its
//           slice of the gradient over the sums of all of them and takes the optimiser's step on it; moments
//           are held once per node, and new weights travel 4 bytes each. Nodes exchange one message each.
//   device  exact sums, weights and moments in the memory of a GPU for each rank, which takes the whole step
//           there. The host holds weights and moments only after store().
//   whole   each rank reduces the whole gradient over the communicator (floats, and GPUs of engines that hold
//           no weights) and takes the whole step.
//
// A step: each thread starts its sum(), adds the micro-batches that next_unit() gives it and close()s it; the
// ranks meet in a collective; then reduce() and, where its outcome is usable, apply().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "multigrnformer/comm/nccl.hpp"
#include "multigrnformer/train/compute_team.hpp"
#include "multigrnformer/train/reduction.hpp"
#include "multigrnformer/train/settings.hpp"
#include "multigrnformer/train/training_state.hpp"

namespace mgrn::train {

/// One thread per rank calls, if nothing else is said.
class Update {
 public:
  virtual ~Update() = default;
  Update() = default;
  Update(const Update&) = delete;
  Update& operator=(const Update&) = delete;

  /// Where this thread's micro-batches go. For its own thread.
  virtual GradientSum& sum(int thread) = 0;
  /// The thread's next micro-batch of this step, a number below `units`; none when nothing is left for it.
  /// The first is the same in every step; of the others each goes to one thread of one rank, which one may
  /// depend on who comes first (sliced) or not (whole). By its own thread, until close().
  virtual std::optional<std::uint64_t> next_unit(int thread, std::uint64_t units) = 0;
  /// The thread's micro-batches of this step are in; `by_engine`: its engine added them (Engine::accumulate).
  /// By its own thread.
  virtual void close(int thread, bool by_engine) = 0;
  /// Collective. The ranks must have met since their last close(). The mean gradient is the sum over
  /// `samples`. Throws InternalError, on every rank alike, as GradientSum::reduce does.
  virtual ReductionOutcome reduce(double samples) = 0;
  /// Collective, after a reduce() whose outcome is usable. The optimiser's step, its rates times
  /// `rate_factor`; returns the mean gradient's L2 norm before clipping.
  virtual double apply(double rate_factor) = 0;

  /// The optimiser's steps so far.
  virtual std::int64_t steps() const = 0;
  /// Into state: weights, which only a device update keeps to itself until then, moments and count of steps.
  /// On any rank.
  virtual void store(TrainingState& state) const = 0;
};

/// Collective. By settings.optimizer. Goes on from state's weights, moments and steps, and moves its weights
/// on. Team and state must outlive the update. Throws UsageError for illegal options of the optimiser.
std::unique_ptr<Update> make_sliced_update(ComputeTeam& team, TrainingState& state, const Settings& settings,
                                           comm::Communicator& communicator);
/// Collective. Null where the engines hold no weights on a GPU; else exact, and for micro-batches that the
/// engine adds itself. `between_gpus` is null for a single rank.
std::unique_ptr<Update> make_device_update(ComputeTeam& team, TrainingState& state, const Settings& settings,
                                           comm::Communicator& communicator,
                                           comm::DeviceCommunicator* between_gpus);
/// `between_gpus` may be null: gradients then go over the communicator.
std::unique_ptr<Update> make_whole_update(ComputeTeam& team, TrainingState& state, const Settings& settings,
                                          comm::Communicator& communicator,
                                          comm::DeviceCommunicator* between_gpus);

}  // namespace mgrn::train
