// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/large_array.hpp"
#include "multigrnformer/model/fixed_point.hpp"
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
  explicit ExactSum(std::size_t parameters) : parameters_(parameters), buffer_(parameters + kExtras) {
    sum_.values = std::span(buffer_).first(parameters_);
    sum_.scale = kScales[0];
  }

  void start(int scale) override {
    if (scale < model::kSmallestScale || scale > model::kLargestScale) {
      throw base::InternalError({.what = "the gradient sum cannot work with this scale",
                                 .expected = std::to_string(model::kSmallestScale) + " to " +
                                             std::to_string(model::kLargestScale) + " fractional bits",
                                 .got = std::to_string(scale),
                                 .hint = "Report this as a defect."});
    }
    sum_.scale = scale;
    sum_.fresh = true;
    sum_.largest.clear();
    statistics_.clear();
    reduced_ = false;
  }

  void add(std::span<const float> gradient, const UnitStatistics& statistics) override {
    require_size(gradient.size());
    require_values();
    sum_.largest.push_back(model::add_fixed_point(gradient, sum_.scale, sum_.values));
    statistics_.push_back(statistics);
  }

  model::FixedPointSum* direct() override { return &sum_; }
  void note(const UnitStatistics& statistics) override { statistics_.push_back(statistics); }
  void set_reduced() override { reduced_ = true; }

  void merge(GradientSum& other) override {
    auto* that = dynamic_cast<ExactSum*>(&other);
    if (that == nullptr || that->parameters_ != parameters_ || that->sum_.scale != sum_.scale ||
        that->reduced_ != reduced_) {
      throw base::InternalError({.what = "gradient sums of unlike kind, size or scale cannot be merged",
                                 .hint = "Report this as a defect."});
    }
    statistics_.insert(statistics_.end(), that->statistics_.begin(), that->statistics_.end());
    sum_.largest.insert(sum_.largest.end(), that->sum_.largest.begin(), that->sum_.largest.end());
    if (that->sum_.fresh) {
      return;
    }
    require_values();
    for (std::size_t i = 0; i < parameters_; ++i) {
      buffer_[i] += that->buffer_[i];
    }
  }

  ReductionOutcome reduce(comm::Communicator& communicator, double divisor,
                          std::span<float> gradient) override {
    require_size(gradient.size());
    require_values();
    count_units();
    extra(kScale) = static_cast<std::uint64_t>(sum_.scale);
    extra(kScaleSquared) = static_cast<std::uint64_t>(sum_.scale) * static_cast<std::uint64_t>(sum_.scale);
    // The values before the counters, unless they are reduced already.
    const std::span values(reinterpret_cast<std::int64_t*>(buffer_.data()), buffer_.size());
    communicator.all_reduce(reduced_ ? values.subspan(parameters_) : values, comm::Reduction::sum);
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
                                 .got = std::to_string(sum_.scale) + " here",
                                 .hint = "Report this as a defect."});
    }
    if (outcome.units > kMostUnits) {
      throw base::InternalError({.what = "a step has more micro-batches than the exact sum has room for",
                                 .expected = "at most " + std::to_string(kMostUnits),
                                 .got = std::to_string(outcome.units),
                                 .hint = "Lower train.batch or raise train.micro_batch."});
    }
    if (outcome.usable()) {
      model::to_float(sum_.values, static_cast<std::uint64_t>(outcome.units), sum_.scale, divisor, gradient);
    }
    return outcome;
  }

 private:
  std::uint64_t& extra(Extra which) { return buffer_[parameters_ + which]; }
  std::int64_t counter(Extra which) { return static_cast<std::int64_t>(extra(which)); }

  /// A sum to which nothing was added is zero.
  void require_values() {
    if (sum_.fresh) {
      std::ranges::fill(sum_.values, 0);
      sum_.fresh = false;
    }
  }

  /// Fills the words behind the gradient from what was noted of each unit.
  void count_units() {
    if (statistics_.size() != sum_.largest.size()) {
      throw base::InternalError({.what = "an engine lost count of the micro-batches that it summed",
                                 .expected = std::to_string(statistics_.size()),
                                 .got = std::to_string(sum_.largest.size()),
                                 .hint = "Report this as a defect."});
    }
    std::fill(buffer_.begin() + static_cast<std::ptrdiff_t>(parameters_), buffer_.end(), 0);
    const std::uint32_t limit = model::fixed_point_limit(sum_.scale);
    for (std::size_t unit = 0; unit < statistics_.size(); ++unit) {
      const UnitStatistics& statistics = statistics_[unit];
      ++extra(kUnits);
      // The loss is a sum of non-negative terms; one beyond the limit is as good as infinite.
      if (!(std::fabs(statistics.loss) < kLossLimit) || sum_.largest[unit] >= kInfinityBits) {
        ++extra(kNonFinite);
      } else if (sum_.largest[unit] >= limit) {
        ++extra(kOutOfRange);
      } else {
        const double whole = std::floor(statistics.loss);
        const double fraction = std::nearbyint((statistics.loss - whole) * kLossFractionFactor);
        extra(kLossWhole) += static_cast<std::uint64_t>(static_cast<std::int64_t>(whole));
        extra(kLossFraction) += static_cast<std::uint64_t>(fraction);
        extra(kLiveHidden) += statistics.live_hidden;
      }
    }
  }

  void require_size(std::size_t size) const {
    if (size != parameters_) {
      throw base::InternalError({.what = "a gradient does not fit its sum",
                                 .expected = std::to_string(parameters_) + " values",
                                 .got = std::to_string(size),
                                 .hint = "Report this as a defect."});
    }
  }

  std::size_t parameters_;
  base::LargeArray<std::uint64_t> buffer_;  // gradient, then the extras; unsigned because it wraps
  model::FixedPointSum sum_;                // of the buffer's gradient
  std::vector<UnitStatistics> statistics_;
  bool reduced_ = false;
};

}  // namespace

std::unique_ptr<GradientSum> make_exact_sum(std::size_t parameters) {
  return std::make_unique<ExactSum>(parameters);
}

}  // namespace mgrn::train
