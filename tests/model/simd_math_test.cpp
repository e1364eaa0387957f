// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "model/available_kernels.hpp"
#include "model/cpu/exponential_polynomials.hpp"

namespace mgrn::model {
namespace {

constexpr int kCount = 1 << 20;

double ulp(double value) {
  return std::ldexp(1.0, std::ilogb(value) - 23);
}

TEST(SimdMath, ExponentialStaysWithinTwoUlp) {
  std::vector<float> x(kCount), y(kCount);
  for (int i = 0; i < kCount; ++i) x[static_cast<std::size_t>(i)] = static_cast<float>(-87.2 * i / kCount);
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    kernels->exponential(x.data(), kCount, y.data());
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp(static_cast<double>(x[i]));
      worst = std::max(worst, std::fabs(y[i] - exact) / ulp(exact));
    }
    EXPECT_LE(worst, 2.0) << kernels->name;
    EXPECT_EQ(y[0], 1.0f) << "exp(0) is exact";
  }
}

TEST(SimdMath, ExponentialKeepsNanAndStopsAtItsFloor) {
  std::vector<float> x(cpu::kMaxLanes, -1000.0f), y(cpu::kMaxLanes);
  x[3] = std::nanf("");
  x[4] = -INFINITY;
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    kernels->exponential(x.data(), cpu::kMaxLanes, y.data());
    EXPECT_TRUE(std::isnan(y[3])) << kernels->name;
    EXPECT_GE(y[4], 0.0f);
    EXPECT_LT(y[4], 1.3e-38f);
    EXPECT_LT(y[0], 1.3e-38f);
  }
}

TEST(SimdMath, GeluAndItsDerivativeMatchTheErrorFunction) {
  std::vector<float> x(kCount), y(kCount), slope(kCount);
  for (int i = 0; i < kCount; ++i)
    x[static_cast<std::size_t>(i)] = static_cast<float>(40.0 * i / kCount - 20.0);
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    kernels->gelu(x.data(), kCount, y.data(), slope.data());
    double worst = 0;
    double worst_slope = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double at = x[i];
      const double distribution = 0.5 * std::erfc(-at / std::sqrt(2.0));
      const double density = std::exp(-0.5 * at * at) / std::sqrt(2 * std::acos(-1.0));
      worst = std::max(worst, std::fabs(y[i] - at * distribution) / std::max(1.0, std::fabs(at)));
      worst_slope = std::max(worst_slope, std::fabs(slope[i] - (distribution + at * density)));
    }
    EXPECT_LE(worst, 2.5e-7) << kernels->name;
    EXPECT_LE(worst_slope, 3e-7) << kernels->name;
  }
}

TEST(SimdMath, ExponentialPolynomialsReachTheirAccuracy) {
  double before = 0;
  for (const cpu::ExponentialPolynomial& polynomial : cpu::exponential_polynomials()) {
    EXPECT_GT(polynomial.range, before);
    before = polynomial.range;
    EXPECT_LE(polynomial.terms, cpu::kMaxTerms);
    EXPECT_NE(polynomial.coefficients[polynomial.terms - 1], 0.0f);
    double worst = 0;
    for (double y = -1; y <= 1; y += 1.0 / 512) {
      double value = 0;
      for (int m = polynomial.terms - 1; m >= 0; --m) value = value * y + polynomial.coefficients[m];
      worst = std::max(worst, std::fabs(value - std::exp(polynomial.range * y)));
    }
    // 1e-7 from the cut, the rest from coefficients rounded to float32: relative to e^range.
    EXPECT_LE(worst, 1e-7 + 6e-8 * std::exp(static_cast<double>(polynomial.range))) << polynomial.range;
  }
}

// What far_keys promises: that many keys beyond the interval, wherever they lie, err by 1e-7 in all.
TEST(SimdMath, KeysBeyondAPolynomialsReachAreKeptSmall) {
  for (const cpu::ExponentialPolynomial& polynomial : cpu::exponential_polynomials()) {
    const double range = polynomial.range;
    for (int i = 0; i < cpu::kRateCount; ++i) {
      double worst = 0;
      for (double x = range; x <= range + 40; x += std::min(range, 1.0) / 41) {
        const double taken_for = std::min(x / range, static_cast<double>(cpu::kFarthest));
        const double weight = std::exp(-static_cast<double>(cpu::kRates[i]) * x);
        for (const double sign : {-1.0, 1.0}) {
          double value = 0;
          for (int m = polynomial.terms - 1; m >= 0; --m) {
            value = value * sign * taken_for + static_cast<double>(polynomial.coefficients[m]);
          }
          worst = std::max(worst, weight * std::fabs(value - std::exp(sign * x)));
        }
      }
      EXPECT_LE(worst * static_cast<double>(polynomial.far_keys[i]), 1.1e-7) << range << ' ' << i;
      if (i > 0) {
        EXPECT_GT(polynomial.far_keys[i], polynomial.far_keys[i - 1]);
      }
    }
  }
}

}  // namespace
}  // namespace mgrn::model
