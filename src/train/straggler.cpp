// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/straggler.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>

namespace mgrn::train {
namespace {

constexpr int kSteps = 20;
constexpr double kSlow = 3;  // times the fastest rank's time; less is common on shared machines
// Of the slower rank's time per micro-batch beyond the faster one's: below this a pause of the scheduler
// decides.
constexpr double kSecondsWorthAWarning = 1e-3;

constexpr std::int64_t kNothing = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMostRanks = std::int64_t{1} << 20;
constexpr double kTickSeconds = 1e-6;
constexpr std::int64_t kMostTicks = std::int64_t{1} << 42;

double milliseconds(std::int64_t ticks) {
  return static_cast<double>(ticks) * kTickSeconds * 1e3;
}

}  // namespace

std::array<std::int64_t, 2> StragglerWatch::contribute(double seconds, std::size_t units) {
  if (units > 0) {
    seconds_ += seconds;
    units_ += units;
  }
  if (++steps_ < kSteps || units_ == 0) {
    return {kNothing, kNothing};
  }
  const auto ticks = std::clamp<std::int64_t>(
      static_cast<std::int64_t>(seconds_ / static_cast<double>(units_) / kTickSeconds), 1, kMostTicks);
  // The largest of the first is the slowest rank with its number, of the second the fastest one's time.
  return {ticks * kMostRanks + rank_, -ticks};
}

std::string StragglerWatch::conclude(const std::array<std::int64_t, 2>& reduced) {
  if (steps_ < kSteps) {
    return "";
  }
  steps_ = 0;
  seconds_ = 0;
  units_ = 0;
  if (reduced[0] == kNothing) {
    return "";
  }
  const std::int64_t slowest = reduced[0] / kMostRanks;
  const std::int64_t rank = reduced[0] % kMostRanks;
  const std::int64_t fastest = -reduced[1];
  const double ratio = static_cast<double>(slowest) / static_cast<double>(fastest);
  if (ratio < kSlow || static_cast<double>(slowest - fastest) * kTickSeconds < kSecondsWorthAWarning ||
      rank == named_) {
    return "";
  }
  named_ = rank;
  char text[256];
  std::snprintf(
      text, sizeof text,
      "rank %lld is slow and makes the others wait: %.1f ms for a micro-batch, the fastest rank %.1f "
      "ms (mean of %d steps); run_info.json names its host",
      static_cast<long long>(rank), milliseconds(slowest), milliseconds(fastest), kSteps);
  return text;
}

}  // namespace mgrn::train
