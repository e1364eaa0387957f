// SPDX-License-Identifier: Apache-2.0
#include "exact_sum.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "multigrnformer/base/error.hpp"

namespace mgrn::train {

namespace {

constexpr double kLossFractionFactor = 0x1.0p44;
constexpr double kLossLimit = 0x1.0p50;
constexpr std::uint32_t kInfinityBits = 0x7f800000u;

}  // namespace

ExactSum::ExactSum(std::size_t parameters) : parameters_(parameters), own_(words(parameters)), memory_(own_) {
  sum_.values = memory_.first(parameters_);
  sum_.scale = kScales[0];
}

ExactSum::ExactSum(std::size_t parameters, std::span<std::uint64_t> memory)
    : parameters_(parameters), memory_(memory) {
  require_size(memory.size() == words(parameters) ? parameters : memory.size());
  sum_.values = memory_.first(parameters_);
  sum_.scale = kScales[0];
}

void ExactSum::start(int scale) {
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

void ExactSum::add(std::span<const float> gradient, const UnitStatistics& statistics) {
  require_size(gradient.size());
  require_values();
  sum_.largest.push_back(model::add_fixed_point(gradient, sum_.scale, sum_.values));
  statistics_.push_back(statistics);
}

void ExactSum::merge(GradientSum& other) {
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
    memory_[i] += that->memory_[i];
  }
}

ReductionOutcome ExactSum::reduce(comm::Communicator& communicator, double divisor,
                                  std::span<float> gradient) {
  require_size(gradient.size());
  require_values();
  close();
  // The values before the counters, unless they are reduced already.
  const std::span all(reinterpret_cast<std::int64_t*>(memory_.data()), parameters_ + kCounters);
  communicator.all_reduce(reduced_ ? all.subspan(parameters_) : all, comm::Reduction::sum);
  // The checks see the same sums on every rank, so either all ranks throw or none.
  const ReductionOutcome found = outcome(counters());
  if (found.usable()) {
    model::to_float(sum_.values, static_cast<std::uint64_t>(found.units), sum_.scale, divisor, gradient);
  }
  return found;
}

void ExactSum::close() {
  if (statistics_.size() != sum_.largest.size()) {
    throw base::InternalError({.what = "an engine lost count of the micro-batches that it summed",
                               .expected = std::to_string(statistics_.size()),
                               .got = std::to_string(sum_.largest.size()),
                               .hint = "Report this as a defect."});
  }
  const auto to = counters();
  std::ranges::fill(to, 0);
  to[kSums] = 1;
  to[kFilled] = sum_.fresh ? 0 : 1;
  to[kScale] = static_cast<std::uint64_t>(sum_.scale);
  to[kScaleSquared] = to[kScale] * to[kScale];
  const std::uint32_t limit = model::fixed_point_limit(sum_.scale);
  for (std::size_t unit = 0; unit < statistics_.size(); ++unit) {
    const UnitStatistics& statistics = statistics_[unit];
    ++to[kUnits];
    // The loss is a sum of non-negative terms; one beyond the limit is as good as infinite.
    if (!(std::fabs(statistics.loss) < kLossLimit) || sum_.largest[unit] >= kInfinityBits) {
      ++to[kNonFinite];
    } else if (sum_.largest[unit] >= limit) {
      ++to[kOutOfRange];
    } else {
      const double whole = std::floor(statistics.loss);
      const double fraction = std::nearbyint((statistics.loss - whole) * kLossFractionFactor);
      to[kLossWhole] += static_cast<std::uint64_t>(static_cast<std::int64_t>(whole));
      to[kLossFraction] += static_cast<std::uint64_t>(fraction);
      to[kLiveHidden] += statistics.live_hidden;
    }
  }
}

ReductionOutcome ExactSum::outcome(std::span<const std::uint64_t, kCounters> counters) {
  const auto counter = [&](Counter which) { return static_cast<std::int64_t>(counters[which]); };
  ReductionOutcome outcome;
  outcome.units = counter(kUnits);
  outcome.units_non_finite = counter(kNonFinite);
  outcome.units_out_of_range = counter(kOutOfRange);
  outcome.live_hidden = counter(kLiveHidden);
  outcome.loss = static_cast<double>(counter(kLossWhole)) +
                 static_cast<double>(counter(kLossFraction)) * (1.0 / kLossFractionFactor);
  if (counters[kSums] * counters[kScaleSquared] != counters[kScale] * counters[kScale]) {
    throw base::InternalError({.what = "ranks summed gradients with different scales",
                               .expected = "one number of fractional bits on all ranks",
                               .got = "a mean of " + std::to_string(static_cast<double>(counters[kScale]) /
                                                                    static_cast<double>(counters[kSums])),
                               .hint = "Report this as a defect."});
  }
  if (outcome.units > kMostUnits) {
    throw base::InternalError({.what = "a step has more micro-batches than the exact sum has room for",
                               .expected = "at most " + std::to_string(kMostUnits),
                               .got = std::to_string(outcome.units),
                               .hint = "Lower train.batch or raise train.micro_batch."});
  }
  return outcome;
}

/// A sum to which nothing was added is zero.
void ExactSum::require_values() {
  if (sum_.fresh) {
    std::ranges::fill(sum_.values, 0);
    sum_.fresh = false;
  }
}

void ExactSum::require_size(std::size_t size) const {
  if (size != parameters_) {
    throw base::InternalError({.what = "a gradient does not fit its sum",
                               .expected = std::to_string(parameters_) + " values",
                               .got = std::to_string(size),
                               .hint = "Report this as a defect."});
  }
}

std::unique_ptr<GradientSum> make_exact_sum(std::size_t parameters) {
  return std::make_unique<ExactSum>(parameters);
}

}  // namespace mgrn::train
