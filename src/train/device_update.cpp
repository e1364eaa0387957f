// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "exact_sum.hpp"
#include "fixed_shares.hpp"
#include "multigrnformer/base/large_array.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/train/optimizer.hpp"
#include "multigrnformer/train/update.hpp"

namespace mgrn::train {
namespace {

static_assert(Optimizer::kBlock == model::DeviceWeights::kBlock);

class DeviceUpdate final : public Update {
 public:
  DeviceUpdate(ComputeTeam& team, TrainingState& state, const Settings& settings,
               comm::Communicator& communicator, comm::DeviceCommunicator* between_gpus,
               std::shared_ptr<model::DeviceWeights> weights)
      : team_(team),
        communicator_(communicator),
        between_gpus_(between_gpus),
        optimizer_(make_optimizer(state.parameters, settings, state.first_moment, state.second_moment)),
        values_(state.parameters.values().size()),
        squares_(Optimizer::blocks(values_)),
        shares_(communicator, team.threads()),
        on_device_(static_cast<std::size_t>(team.threads())),
        weights_(std::move(weights)) {
    optimizer_->set_steps(state.adam_steps);
    weights_->put(std::as_const(state.parameters).values(), state.first_moment, state.second_moment);
    for (int thread = 0; thread < team.threads(); ++thread) {
      team.engine(thread).use_weights(weights_);
      // The gradient's words stay untouched, and so take no memory: counters alone are written.
      memory_.emplace_back(ExactSum::words(values_));
      sums_.emplace_back(values_, memory_.back());
    }
  }
  ~DeviceUpdate() override {
    for (int thread = 0; thread < team_.threads(); ++thread) {
      team_.engine(thread).use_weights(nullptr);
    }
  }
  DeviceUpdate(const DeviceUpdate&) = delete;
  DeviceUpdate& operator=(const DeviceUpdate&) = delete;

  std::optional<std::uint64_t> next_unit(int thread, std::uint64_t units) override {
    return shares_.next(thread, units);
  }
  GradientSum& sum(int thread) override { return sums_[static_cast<std::size_t>(thread)]; }

  void close(int thread, bool by_engine) override {
    if (!by_engine) {
      throw base::InternalError({.what = "a gradient was added in the host's memory to a sum on the GPU",
                                 .hint = "report this as a defect"});
    }
    shares_.close(thread);
    ExactSum& mine = sums_[static_cast<std::size_t>(thread)];
    on_device_[static_cast<std::size_t>(thread)] = team_.engine(thread).device_sum(*mine.direct());
    mine.close();
  }

  ReductionOutcome reduce(double samples) override {
    comm::agree(communicator_, [&] {
      for (std::size_t thread = 1; thread < on_device_.size(); ++thread) {
        weights_->add(on_device_[0], on_device_[thread]);
      }
    });
    if (between_gpus_ != nullptr) {
      between_gpus_->all_reduce_on_device(
          {reinterpret_cast<std::int64_t*>(on_device_[0].data()), on_device_[0].size()},
          comm::Reduction::sum);
    }
    // A few counters: those are quicker over the host.
    std::array<std::uint64_t, ExactSum::kCounters> counters{};
    for (const auto& memory : memory_) {
      for (std::size_t i = 0; i < counters.size(); ++i) {
        counters[i] += memory[values_ + i];
      }
    }
    communicator_.all_reduce(std::span(reinterpret_cast<std::int64_t*>(counters.data()), counters.size()),
                             comm::Reduction::sum);
    const ReductionOutcome outcome = ExactSum::outcome(counters);
    additions_ = static_cast<std::uint64_t>(outcome.units);
    divisor_ = samples;
    return outcome;
  }

  double apply(double rate_factor) override {
    double norm = 0;
    comm::agree(communicator_, [&] {
      optimizer_->begin_step(rate_factor);
      weights_->take_gradient(on_device_[0], additions_, sums_.front().scale(), divisor_,
                              optimizer_->groups(values_));
      if (optimizer_->clips()) {
        weights_->squares(squares_);
        weights_->step(optimizer_->clip_factor(Optimizer::norm(squares_)));
      } else {
        weights_->step(1);
        weights_->squares(squares_);
      }
      norm = Optimizer::norm(squares_);
    });
    return norm;
  }

  std::int64_t steps() const override { return optimizer_->steps(); }

  void store(TrainingState& state) const override {
    weights_->fetch(state.parameters.values(), state.first_moment, state.second_moment);
    state.adam_steps = optimizer_->steps();
  }

 private:
  ComputeTeam& team_;
  comm::Communicator& communicator_;
  comm::DeviceCommunicator* between_gpus_;  // null: one rank
  std::unique_ptr<Optimizer> optimizer_;    // its rates; moments and weights are on the device
  std::size_t values_;
  std::vector<double> squares_;
  FixedShares shares_;
  std::vector<base::LargeArray<std::uint64_t>> memory_;  // of the sums
  std::vector<ExactSum> sums_;                           // one per thread
  std::vector<std::span<std::uint64_t>> on_device_;      // their values
  std::shared_ptr<model::DeviceWeights> weights_;
  std::uint64_t additions_ = 0;
  double divisor_ = 1;
};

}  // namespace

std::unique_ptr<Update> make_device_update(ComputeTeam& team, TrainingState& state, const Settings& settings,
                                           comm::Communicator& communicator,
                                           comm::DeviceCommunicator* between_gpus) {
  std::shared_ptr<model::DeviceWeights> weights;
  comm::agree(communicator, [&] {
    weights = team.engine(0).make_device_weights(settings.optimizer == OptimizerKind::adam ? 2 : 1);
  });
  if (weights == nullptr) {
    return nullptr;
  }
  std::unique_ptr<Update> update;
  comm::agree(communicator, [&] {
    update =
        std::make_unique<DeviceUpdate>(team, state, settings, communicator, between_gpus, std::move(weights));
  });
  return update;
}

}  // namespace mgrn::train
