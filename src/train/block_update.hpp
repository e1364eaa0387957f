// SPDX-License-Identifier: Apache-2.0
// The optimiser's step, block by block, on a team's threads: what the two kinds of Update have in common.
// Without clipping one pass over a block, which stays in the first-level cache, does all: gradient, its
// squares, step. With clipping the norm of all blocks comes between. Private to the room.
#pragma once

#include <memory>
#include <span>

#include "multigrnformer/train/optimizer.hpp"
#include "multigrnformer/train/update.hpp"

namespace mgrn::train {

class BlockUpdate : public Update {
 public:
  double apply(double rate_factor) final;
  std::int64_t steps() const final { return optimizer_->steps(); }
  void store(TrainingState& state) const final;

 protected:
  struct Range {
    std::size_t first = 0;
    std::size_t last = 0;
  };
  /// Moments and squares (one per block) are memory of the derived class.
  BlockUpdate(ComputeTeam& team, TrainingState& state, const Settings& settings,
              std::span<float> first_moment, std::span<float> second_moment, std::span<double> squares);

  ComputeTeam& team() { return team_; }
  std::size_t parameters() const { return state_.parameters.values().size(); }
  std::span<float> weights() { return state_.parameters.values(); }
  /// Part `part` of `parts` of a range, the same size for all but for a remainder.
  static Range share(Range whole, std::size_t part, std::size_t parts);
  /// This thread's part of this rank's blocks, as blocks.
  Range blocks_of(int thread);

  /// The blocks that this rank takes.
  virtual Range blocks() const = 0;
  /// The mean gradient from value `first` on; may use `room`, of the wanted size, for it.
  virtual std::span<float> gradient(std::size_t first, std::span<float> room) = 0;
  /// Weights from value `first` on are new.
  virtual void publish(std::size_t first, std::size_t count) = 0;
  /// Collective. All ranks have come so far.
  virtual void meet() = 0;
  /// Fetches what other ranks have published.
  virtual void collect() = 0;

 private:
  template <typename Visit>
  void for_each_block(const Visit& visit);

  ComputeTeam& team_;
  TrainingState& state_;
  std::unique_ptr<Optimizer> optimizer_;
  std::span<double> squares_;
  base::LargeArray<float> clipped_;  // the gradient, where it must wait for its norm
};

}  // namespace mgrn::train
