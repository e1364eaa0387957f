// SPDX-License-Identifier: Apache-2.0
#include "model/cpu/exponential_polynomials.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace mgrn::model::cpu {
namespace {

// Ends at 7: longer polynomials would save panels, but their terms reach e^range, and sums of both signs in
// the backward pass lose as many digits.
constexpr std::array kRanges{0.0625, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75,
                             2.0,    2.25,  2.5,  2.75,  3.0, 3.25, 3.5, 3.75, 4.0, 4.25,
                             4.5,    4.75,  5.0,  5.25,  5.5, 6.0,  6.5, 7.0};
// What the dropped terms may add up to, relative to the sum of weights that bounds Z from below.
constexpr long double kTruncation = 1e-7L;

/// I_order(x), the modified Bessel function, by its power series (all terms positive).
long double bessel_i(int order, long double x) {
  long double term = 1;
  for (int n = 1; n <= order; ++n) term *= x / 2 / n;
  long double total = term;
  for (int n = 1; n < 200; ++n) {
    term *= x * x / 4 / (static_cast<long double>(n) * (n + order));
    total += term;
  }
  return total;
}

// More than any range here needs before its series falls below kTruncation.
constexpr std::size_t kSeries = 80;
using Coefficients = std::array<long double, kSeries + 1>;

/// By the most that one key beyond the interval can add to the error, over all the distances it may have.
void count_far_keys(ExponentialPolynomial& polynomial) {
  // The first step where errors begin to grow; weights leave 1e-13 of what lies beyond the last.
  constexpr long double kStep = 1.0L / 32;
  constexpr long double kLast = 20;
  std::array<long double, kRateCount> worst{};
  const auto range = static_cast<long double>(polynomial.range);
  for (long double distance = range; distance <= range + kLast; distance += kStep * std::min(range, 1.0L)) {
    const long double y = std::min(distance / range, static_cast<long double>(kFarthest));
    long double above = 0;
    long double below = 0;
    for (int m = polynomial.terms - 1; m >= 0; --m) {
      above = above * y + static_cast<long double>(polynomial.coefficients[m]);
      below = below * -y + static_cast<long double>(polynomial.coefficients[m]);
    }
    const long double error =
        std::max(std::abs(std::exp(distance) - above), std::abs(std::exp(-distance) - below));
    for (std::size_t i = 0; i < kRateCount; ++i) {
      worst[i] = std::max(worst[i], error * std::exp(-static_cast<long double>(kRates[i]) * distance));
    }
  }
  for (std::size_t i = 0; i < kRateCount; ++i) {
    polynomial.far_keys[i] = static_cast<float>(kTruncation / worst[i]);
  }
}

/// e^(range y) = I_0 + 2 sum_m I_m T_m(y), cut where the rest is below kTruncation, in powers of y.
ExponentialPolynomial make_polynomial(double range) {
  Coefficients series{};
  for (std::size_t m = 0; m < kSeries; ++m) {
    series[m] = (m == 0 ? 1 : 2) * bessel_i(static_cast<int>(m), static_cast<long double>(range));
  }
  std::size_t terms = kSeries;
  long double rest = 0;
  while (terms > 1 && rest + series[terms - 1] <= kTruncation) rest += series[--terms];
  // T_m in powers, by T_(m+1) = 2 y T_m - T_(m-1).
  Coefficients before{}, current{}, powers{};
  before[0] = current[1] = 1;
  powers[0] = series[0];
  for (std::size_t m = 1; m < terms; ++m) {
    for (std::size_t n = 0; n <= m; ++n) powers[n] += series[m] * current[n];
    Coefficients next{};
    for (std::size_t n = 0; n <= m; ++n) next[n + 1] = 2 * current[n];
    for (std::size_t n = 0; n < m; ++n) next[n] -= before[n];
    before = current;
    current = next;
  }
  ExponentialPolynomial result;
  result.range = static_cast<float>(range);
  result.terms = static_cast<int>(terms);
  for (std::size_t m = 0; m < terms && m < kMaxTerms; ++m)
    result.coefficients[m] = static_cast<float>(powers[m]);
  count_far_keys(result);
  return result;
}

}  // namespace

std::span<const ExponentialPolynomial> exponential_polynomials() {
  static const std::array<ExponentialPolynomial, kRanges.size()> kTable = [] {
    std::array<ExponentialPolynomial, kRanges.size()> table;
    for (std::size_t i = 0; i < kRanges.size(); ++i) table[i] = make_polynomial(kRanges[i]);
    return table;
  }();
  return kTable;
}

}  // namespace mgrn::model::cpu
