// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "block_update.hpp"
#include "fixed_shares.hpp"
#include "multigrnformer/base/large_array.hpp"
#include "multigrnformer/comm/agree.hpp"

namespace mgrn::train {
namespace {

/// This rank's own copy of what ranks share elsewhere.
struct OwnMemory {
  explicit OwnMemory(const TrainingState& state)
      : first_moment(state.first_moment.begin(), state.first_moment.end()),
        second_moment(state.second_moment.begin(), state.second_moment.end()),
        squares(Optimizer::blocks(first_moment.size())) {}
  base::LargeArray<float> first_moment;
  base::LargeArray<float> second_moment;
  std::vector<double> squares;
};

class WholeUpdate final : private OwnMemory, public BlockUpdate {
 public:
  WholeUpdate(ComputeTeam& computing, TrainingState& state, const Settings& settings,
              comm::Communicator& communicator, comm::DeviceCommunicator* between_gpus)
      : OwnMemory(state),
        BlockUpdate(computing, state, settings, first_moment, second_moment, squares),
        communicator_(communicator),
        between_gpus_(between_gpus),
        gradient_(parameters()),
        shares_(communicator, computing.threads()),
        on_gpu_(static_cast<std::size_t>(computing.threads())) {
    for (int thread = 0; thread < computing.threads(); ++thread) {
      sums_.push_back(settings.exact_reduction ? make_exact_sum(parameters()) : make_float_sum(parameters()));
    }
  }

  GradientSum& sum(int thread) override { return *sums_[static_cast<std::size_t>(thread)]; }

  std::optional<std::uint64_t> next_unit(int thread, std::uint64_t units) override {
    return shares_.next(thread, units);
  }

  /// Brings the thread's sum into the host's memory; one that other ranks' GPUs will add to stays where it
  /// is.
  void close(int thread, bool by_engine) override {
    shares_.close(thread);
    auto& on_gpu = on_gpu_[static_cast<std::size_t>(thread)];
    on_gpu = {};
    if (!by_engine) {
      return;
    }
    model::FixedPointSum& direct = *sum(thread).direct();
    if (between_gpus_ != nullptr) {
      on_gpu = team().engine(thread).device_sum(direct);
    }
    if (on_gpu.empty()) {
      team().engine(thread).finish(direct);
    }
  }

  ReductionOutcome reduce(double samples) override {
    const bool reduced_on_gpus = reduce_on_gpus();
    for (std::size_t thread = 1; thread < sums_.size(); ++thread) {
      sums_[0]->merge(*sums_[thread]);
    }
    // What GPUs have reduced leaves a few counters: those are quicker over the host.
    const bool through_gpus = between_gpus_ != nullptr && !reduced_on_gpus;
    comm::Communicator& reducer = through_gpus ? *between_gpus_ : communicator_;
    return sums_[0]->reduce(reducer, samples, gradient_);
  }

 private:
  /// Collective. Ranks have engines of one kind, so that all reduce here or none does.
  bool reduce_on_gpus() {
    bool reduced = false;
    for (const auto& sum : on_gpu_) {
      if (!sum.empty()) {
        reduced = true;
        between_gpus_->all_reduce_on_device({reinterpret_cast<std::int64_t*>(sum.data()), sum.size()},
                                            comm::Reduction::sum);
      }
    }
    if (reduced) {
      comm::agree(communicator_, [&] {
        for (int thread = 0; thread < team().threads(); ++thread) {
          team().engine(thread).finish(*sum(thread).direct());
          sum(thread).set_reduced();
        }
      });
    }
    return reduced;
  }

  Range blocks() const override { return {0, Optimizer::blocks(parameters())}; }
  std::span<float> gradient(std::size_t first, std::span<float> room) override {
    return std::span(gradient_).subspan(first, room.size());
  }
  void publish(std::size_t, std::size_t) override {}
  void meet() override {}
  void collect() override {}

  comm::Communicator& communicator_;
  comm::DeviceCommunicator* between_gpus_;  // null: gradients are reduced over communicator_
  base::LargeArray<float> gradient_;
  std::vector<std::unique_ptr<GradientSum>> sums_;  // one per thread
  FixedShares shares_;
  std::vector<std::span<std::uint64_t>> on_gpu_;  // one per thread: a sum in the GPU's memory, or empty
};

}  // namespace

std::unique_ptr<Update> make_whole_update(ComputeTeam& team, TrainingState& state, const Settings& settings,
                                          comm::Communicator& communicator,
                                          comm::DeviceCommunicator* between_gpus) {
  return std::make_unique<WholeUpdate>(team, state, settings, communicator, between_gpus);
}

}  // namespace mgrn::train
