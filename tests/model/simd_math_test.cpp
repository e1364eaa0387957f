// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/available_kernels.hpp"
#include "model/cpu/aligned.hpp"
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

TEST(SimdMath, GeluAndItsDerivativeMatchTheErrorFunctionWithinEveryRange) {
  for (int range = 0; range < cpu::kGeluRanges; ++range) {
    // The engine's bounds allow for rounding; what they leave out reaches a little beyond the limit.
    const double limit =
        range + 1 < cpu::kGeluRanges ? 1.0001 * static_cast<double>(cpu::kGeluLimits[range]) : 20.0;
    std::vector<float> x(kCount);
    for (int i = 0; i < kCount; ++i) {
      x[static_cast<std::size_t>(i)] = static_cast<float>(limit * (2.0 * i / (kCount - 1) - 1.0));
    }
    for (const cpu::Kernels* kernels : test::available_kernels()) {
      // Rows of the engine are aligned.
      cpu::Aligned<float> y(x.size()), value_alone(x.size()), slope(x.size());
      std::copy(x.begin(), x.end(), y.data());
      std::copy(x.begin(), x.end(), value_alone.data());
      kernels->gelu(y.data(), kCount, static_cast<std::uint8_t>(range), slope.data());
      kernels->gelu(value_alone.data(), kCount, static_cast<std::uint8_t>(range), nullptr);
      EXPECT_TRUE(std::equal(y.data(), y.data() + x.size(), value_alone.data()))
          << "forward and backward must agree: " << kernels->name << ", range " << range;
      double worst = 0;
      double worst_slope = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double at = x[i];
        const double distribution = 0.5 * std::erfc(-at / std::sqrt(2.0));
        const double density = std::exp(-0.5 * at * at) / std::sqrt(2 * std::acos(-1.0));
        worst = std::max(worst, std::fabs(y.data()[i] - at * distribution) / std::max(1.0, std::fabs(at)));
        worst_slope = std::max(worst_slope, std::fabs(slope.data()[i] - (distribution + at * density)));
      }
      EXPECT_LE(worst, 2.5e-7) << kernels->name << ", range " << range;
      EXPECT_LE(worst_slope, 3e-7) << kernels->name << ", range " << range;
    }
  }
}

TEST(SimdMath, GeluKeepsNanInEveryRange) {
  for (int range = 0; range < cpu::kGeluRanges; ++range) {
    for (const cpu::Kernels* kernels : test::available_kernels()) {
      alignas(64) float x[cpu::kTokenBlock] = {};
      alignas(64) float slope[cpu::kTokenBlock] = {};
      x[5] = std::nanf("");
      kernels->gelu(x, cpu::kTokenBlock, static_cast<std::uint8_t>(range), slope);
      EXPECT_TRUE(std::isnan(x[5]) && std::isnan(slope[5])) << kernels->name << ", range " << range;
      EXPECT_FALSE(std::isnan(x[4]) || std::isnan(slope[6])) << kernels->name << ", range " << range;
    }
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
