// SPDX-License-Identifier: Apache-2.0
// Round numbers along an axis. Pure.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace mgrn::experiments {

struct AxisTicks {
  double low = 0.0;
  double high = 1.0;
  std::vector<double> values;
  int decimals = 1;

  std::string text(double value) const {
    std::string text = fmt::format("{:.{}f}", value, decimals);
    return text.find_first_not_of("-0.") == std::string::npos ? fmt::format("{:.{}f}", 0.0, decimals) : text;
  }
};

/// From `low` to `high`, widened to whole steps; at most about `most` steps. A range without width or numbers
/// gets one.
inline AxisTicks axis_ticks(double low, double high, int most) {
  if (!std::isfinite(low) || !std::isfinite(high) || high < low) {
    low = 0.0;
    high = 1.0;
  }
  if (high - low < 1e-9 * std::max(1.0, std::abs(high))) {
    const double half = std::max(0.05, 0.05 * std::abs(high));
    low -= half;
    high += half;
  }
  const double wanted = (high - low) / most;
  const double power = std::pow(10.0, std::floor(std::log10(wanted)));
  double step = 10.0 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= wanted * (1.0 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  AxisTicks ticks;
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  ticks.low = first * step;
  ticks.high = last * step;
  for (double at = first; at <= last + 0.5; at += 1.0) {
    ticks.values.push_back(at * step);
  }
  ticks.decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  return ticks;
}

}  // namespace mgrn::experiments
