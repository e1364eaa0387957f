// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/train/fixed_point.hpp"
#include "multigrnformer/train/reduction.hpp"

namespace mgrn::train {

namespace {

// What follows the gradient in the buffer. The loss travels in two words, units of 1 and of 2^-44: one word
// could hold neither the loss of a diverged run nor the last digits of a converged one.
enum Extra : std::size_t {
  kUnits,
  kNonFinite,
  kOutOfRange,
  kLossWhole,
  kLossFraction,
  kLiveHidden,
  kScale,  // summed over ranks; with its square it shows whether all ranks used one scale
  kScaleSquared,
  kExtras
};

constexpr double kLossFractionFactor = 0x1.0p44;
constexpr double kLossLimit = 0x1.0p50;
constexpr std::uint32_t kInfinityBits = 0x7f800000u;

class ExactSum final : public GradientSum {
 public:
  explicit ExactSum(std::size_t parameters) : parameters_(parameters), buffer_(parameters + kExtras) {}

  void start(int scale) override {
    if (scale < kSmallestScale || scale > kLargestScale) {
      throw base::InternalError({.what = "the gradient sum cannot work with this scale",
                                 .expected = std::to_string(kSmallestScale) + " to " +
                                             std::to_string(kLargestScale) + " fractional bits",
                                 .got = std::to_string(scale),
                                 .hint = "Report this as a defect."});
    }
    scale_ = scale;
    buffer_.assign(buffer_.size(), 0);
  }

  void add(std::span<const float> gradient, const UnitStatistics& statistics) override {
    require_size(gradient.size());
    ++extra(kUnits);
    // The loss is a sum of non-negative terms; one beyond the limit is as good as infinite.
    if (!(std::fabs(statistics.loss) < kLossLimit)) {
      ++extra(kNonFinite);
      return;
    }
    const std::uint32_t largest = add_fixed_point(gradient, scale_, sums());
    if (largest >= fixed_point_limit(scale_)) {
      subtract_fixed_point(gradient, scale_, sums());
      ++extra(largest >= kInfinityBits ? kNonFinite : kOutOfRange);
      return;
    }
    const double whole = std::floor(statistics.loss);
    const double fraction = std::nearbyint((statistics.loss - whole) * kLossFractionFactor);
    extra(kLossWhole) += static_cast<std::uint64_t>(static_cast<std::int64_t>(whole));
    extra(kLossFraction) += static_cast<std::uint64_t>(fraction);
    extra(kLiveHidden) += statistics.live_hidden;
  }

  void merge(const GradientSum& other) override {
    const auto* that = dynamic_cast<const ExactSum*>(&other);
    if (that == nullptr || that->parameters_ != parameters_ || that->scale_ != scale_) {
      throw base::InternalError({.what = "gradient sums of unlike kind, size or scale cannot be merged",
                                 .hint = "Report this as a defect."});
    }
    for (std::size_t i = 0; i < buffer_.size(); ++i) {
      buffer_[i] += that->buffer_[i];
    }
  }

  ReductionOutcome reduce(comm::Communicator& communicator, std::span<float> gradient) override {
    require_size(gradient.size());
    extra(kScale) = static_cast<std::uint64_t>(scale_);
    extra(kScaleSquared) = static_cast<std::uint64_t>(scale_) * static_cast<std::uint64_t>(scale_);
    communicator.all_reduce(std::span(reinterpret_cast<std::int64_t*>(buffer_.data()), buffer_.size()),
                            comm::Reduction::sum);
    ReductionOutcome outcome;
    outcome.units = counter(kUnits);
    outcome.units_non_finite = counter(kNonFinite);
    outcome.units_out_of_range = counter(kOutOfRange);
    outcome.live_hidden = counter(kLiveHidden);
    outcome.loss = static_cast<double>(counter(kLossWhole)) +
                   static_cast<double>(counter(kLossFraction)) * (1.0 / kLossFractionFactor);
    // Both checks see the same sums on every rank, so either all ranks throw or none.
    const auto ranks = static_cast<std::uint64_t>(communicator.size());
    if (ranks * extra(kScaleSquared) != extra(kScale) * extra(kScale)) {
      throw base::InternalError({.what = "ranks summed gradients with different scales",
                                 .expected = "one number of fractional bits on all ranks",
                                 .got = std::to_string(scale_) + " here",
                                 .hint = "Report this as a defect."});
    }
    if (outcome.units > kMostUnits) {
      throw base::InternalError({.what = "a step has more micro-batches than the exact sum has room for",
                                 .expected = "at most " + std::to_string(kMostUnits),
                                 .got = std::to_string(outcome.units),
                                 .hint = "Lower train.batch or raise train.micro_batch."});
    }
    if (outcome.usable()) {
      to_float(sums(), static_cast<std::uint64_t>(outcome.units), scale_, gradient);
    }
    return outcome;
  }

 private:
  std::span<std::uint64_t> sums() { return std::span(buffer_).first(parameters_); }
  std::uint64_t& extra(Extra which) { return buffer_[parameters_ + which]; }
  std::int64_t counter(Extra which) { return static_cast<std::int64_t>(extra(which)); }

  void require_size(std::size_t size) const {
    if (size != parameters_) {
      throw base::InternalError({.what = "a gradient does not fit its sum",
                                 .expected = std::to_string(parameters_) + " values",
                                 .got = std::to_string(size),
                                 .hint = "Report this as a defect."});
    }
  }

  std::size_t parameters_;
  int scale_ = kScales[0];
  std::vector<std::uint64_t> buffer_;  // gradient, then the extras; unsigned because it wraps
};

}  // namespace

std::unique_ptr<GradientSum> make_exact_sum(std::size_t parameters) {
  return std::make_unique<ExactSum>(parameters);
}

}  // namespace mgrn::train
