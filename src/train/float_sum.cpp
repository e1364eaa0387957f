// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/train/reduction.hpp"

namespace mgrn::train {

namespace {

// Behind the gradient; float32 counts exactly up to 2^24. The loss travels as a float and its remainder.
enum Extra : std::size_t { kUnits, kNonFinite, kLoss, kLossRemainder, kLiveHidden, kExtras };

bool all_finite(std::span<const float> values) {
  std::uint32_t largest = 0;
  for (const float value : values) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(value) & 0x7fffffffu);
  }
  return largest < 0x7f800000u;
}

class FloatSum final : public GradientSum {
 public:
  explicit FloatSum(std::size_t parameters) : parameters_(parameters), buffer_(parameters + kExtras) {}

  void start(int) override {
    buffer_.assign(buffer_.size(), 0.0f);
    loss_ = 0;
  }

  void add(std::span<const float> gradient, const UnitStatistics& statistics) override {
    require_size(gradient.size());
    ++extra(kUnits);
    if (!std::isfinite(statistics.loss) || !all_finite(gradient)) {
      ++extra(kNonFinite);
      return;
    }
    for (std::size_t i = 0; i < parameters_; ++i) {
      buffer_[i] += gradient[i];
    }
    loss_ += statistics.loss;
    extra(kLiveHidden) += static_cast<float>(statistics.live_hidden);
  }

  void note(const UnitStatistics&) override {}

  void merge(GradientSum& other) override {
    const auto* that = dynamic_cast<const FloatSum*>(&other);
    if (that == nullptr || that->parameters_ != parameters_) {
      throw base::InternalError({.what = "gradient sums of unlike kind or size cannot be merged",
                                 .hint = "Report this as a defect."});
    }
    for (std::size_t i = 0; i < buffer_.size(); ++i) {
      buffer_[i] += that->buffer_[i];
    }
    loss_ += that->loss_;
  }

  ReductionOutcome reduce(comm::Communicator& communicator, double divisor,
                          std::span<float> gradient) override {
    require_size(gradient.size());
    extra(kLoss) = static_cast<float>(loss_);
    extra(kLossRemainder) = static_cast<float>(loss_ - static_cast<double>(extra(kLoss)));
    communicator.all_reduce(std::span(buffer_), comm::Reduction::sum);
    ReductionOutcome outcome;
    outcome.units = std::llround(extra(kUnits));
    outcome.units_non_finite = std::llround(extra(kNonFinite));
    outcome.live_hidden = std::llround(extra(kLiveHidden));
    outcome.loss = static_cast<double>(extra(kLoss)) + static_cast<double>(extra(kLossRemainder));
    // Finite units may still overflow float32 when they are added.
    const auto sums = std::span<const float>(buffer_).first(parameters_);
    if (outcome.units_non_finite == 0 && (!all_finite(sums) || !std::isfinite(outcome.loss))) {
      outcome.units_non_finite = outcome.units;
    }
    if (outcome.usable()) {
      const auto count = static_cast<float>(divisor);
      std::ranges::transform(sums, gradient.begin(), [count](float sum) { return sum / count; });
    }
    return outcome;
  }

 private:
  float& extra(Extra which) { return buffer_[parameters_ + which]; }

  void require_size(std::size_t size) const {
    if (size != parameters_) {
      throw base::InternalError({.what = "a gradient does not fit its sum",
                                 .expected = std::to_string(parameters_) + " values",
                                 .got = std::to_string(size),
                                 .hint = "Report this as a defect."});
    }
  }

  std::size_t parameters_;
  double loss_ = 0;
  std::vector<float> buffer_;
};

}  // namespace

std::unique_ptr<GradientSum> make_float_sum(std::size_t parameters) {
  return std::make_unique<FloatSum>(parameters);
}

}  // namespace mgrn::train
