// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"

namespace mgrn::evaluate {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kUpperTail = 0.025;  // of a 95 % interval
constexpr std::size_t kMostExactPairs = 50;

void check_finite(std::span<const double> values) {
  for (const double value : values) {
    if (!std::isfinite(value)) {
      throw base::InternalError(
          {.what = "statistics of a value that is not finite", .got = std::to_string(value)});
    }
  }
}

double quantile_of_t(std::size_t runs) {
  const boost::math::students_t distribution(static_cast<double>(runs - 1));
  return boost::math::quantile(boost::math::complement(distribution, kUpperTail));
}

/// Share of all assignments of signs whose plus sum is at most `sum`; ranks and sum are doubled, so that mean
/// ranks stay integers.
double share_at_most(std::span<const std::size_t> ranks, std::size_t sum) {
  std::size_t total = 0;
  for (const std::size_t rank : ranks) {
    total += rank;
  }
  // Shares instead of counts: with 50 pairs there are 2^50 assignments, and the sums of shares stay exact.
  std::vector<double> share(total + 1, 0.0);
  share[0] = 1.0;
  std::size_t reached = 0;
  for (const std::size_t rank : ranks) {
    reached += rank;
    for (std::size_t at = reached + 1; at-- > 0;) {
      share[at] = 0.5 * (share[at] + (at >= rank ? share[at - rank] : 0.0));
    }
  }
  double below = 0.0;
  for (std::size_t at = 0; at <= sum; ++at) {
    below += share[at];
  }
  return std::min(1.0, below);
}

}  // namespace

double mean(std::span<const double> values) {
  if (values.empty()) {
    return kNan;
  }
  double sum = 0.0;
  for (const double value : values) {
    sum += value;
  }
  return sum / static_cast<double>(values.size());
}

double standard_deviation(std::span<const double> values) {
  if (values.size() < 2) {
    return kNan;
  }
  const double middle = mean(values);
  double squares = 0.0;
  for (const double value : values) {
    squares += (value - middle) * (value - middle);
  }
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

double median(std::span<const double> values) {
  if (values.empty()) {
    return kNan;
  }
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const std::size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : 0.5 * (sorted[half - 1] + sorted[half]);
}

std::optional<Interval> t_interval(std::span<const double> values) {
  const auto independent = corrected_resampled_t(values, 0.0);
  return independent ? std::optional(independent->interval) : std::nullopt;
}

std::optional<ResampledT> corrected_resampled_t(std::span<const double> values, double test_to_train,
                                                double null_mean) {
  check_finite(values);
  if (!(test_to_train >= 0.0)) {
    throw base::InternalError(
        {.what = "a negative ratio of test to training pairs", .got = std::to_string(test_to_train)});
  }
  if (values.size() < 2) {
    return std::nullopt;
  }
  const double deviation = standard_deviation(values);
  const double error = std::sqrt(1.0 / static_cast<double>(values.size()) + test_to_train) * deviation;
  ResampledT result{.mean = mean(values), .interval = {}};
  const double half = quantile_of_t(values.size()) * error;
  result.interval = {result.mean - half, result.mean + half};
  const double distance = std::abs(result.mean - null_mean);
  if (error > 0.0) {
    const boost::math::students_t distribution(static_cast<double>(values.size() - 1));
    result.p_value = 2.0 * boost::math::cdf(boost::math::complement(distribution, distance / error));
  } else {
    result.p_value = distance > 0.0 ? 0.0 : 1.0;
  }
  return result;
}

SignedRank signed_rank(std::span<const double> differences) {
  check_finite(differences);
  SignedRank result;
  result.median_difference = median(differences);
  std::vector<double> others;
  for (const double difference : differences) {
    if (difference == 0.0) {
      ++result.ties;
    } else {
      ++(difference > 0.0 ? result.wins : result.losses);
      others.push_back(difference);
    }
  }
  result.pairs = others.size();
  if (others.empty()) {
    return result;
  }
  std::sort(others.begin(), others.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
  std::vector<std::size_t> doubled_ranks(others.size());
  double cubes_of_ties = 0.0;
  std::size_t doubled_plus = 0;
  for (std::size_t first = 0; first < others.size();) {
    std::size_t last = first;
    while (last < others.size() && std::abs(others[last]) == std::abs(others[first])) {
      ++last;
    }
    const auto size = static_cast<double>(last - first);
    cubes_of_ties += size * size * size - size;
    for (std::size_t at = first; at < last; ++at) {
      doubled_ranks[at] = first + 1 + last;  // twice the mean of first + 1 ... last
      doubled_plus += others[at] > 0.0 ? doubled_ranks[at] : 0;
    }
    first = last;
  }
  const std::size_t doubled_total = others.size() * (others.size() + 1);
  const std::size_t doubled_minus = doubled_total - doubled_plus;
  result.rank_sum_plus = static_cast<double>(doubled_plus) / 2.0;
  result.rank_sum_minus = static_cast<double>(doubled_minus) / 2.0;
  result.rank_biserial = (static_cast<double>(doubled_plus) - static_cast<double>(doubled_minus)) /
                         static_cast<double>(doubled_total);
  const std::size_t doubled_least = std::min(doubled_plus, doubled_minus);
  result.exact = others.size() <= kMostExactPairs;
  if (result.exact) {
    result.p_value = std::min(1.0, 2.0 * share_at_most(doubled_ranks, doubled_least));
  } else {
    const auto n = static_cast<double>(others.size());
    const double variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - cubes_of_ties / 48.0;
    const double z = (static_cast<double>(doubled_least) / 2.0 - n * (n + 1.0) / 4.0) / std::sqrt(variance);
    result.p_value = std::min(1.0, 2.0 * boost::math::cdf(boost::math::normal(), z));
  }
  return result;
}

}  // namespace mgrn::evaluate
