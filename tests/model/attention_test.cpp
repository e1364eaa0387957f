// SPDX-License-Identifier: Apache-2.0
// One scalar head, quadratic and linear-time, against attention in double precision over many random draws.
#include <gtest/gtest.h>

#include <cmath>

#include "model/available_kernels.hpp"
#include "model/exact_attention.hpp"
#include "model/samples.hpp"
#include "multigrnformer/model/attention.hpp"

namespace mgrn::model {
namespace {

using test::Cloud;
using test::Computed;
using test::exact_attention;
using test::Gradients;
using test::Head;
using test::LargestErrors;
using test::make_head;
using test::Worst;

Computed compute(const cpu::Kernels& kernels, const Head& head, bool linear) {
  return test::compute(head, linear ? "linear" : "quadratic", kernels.name);
}

TEST(Attention, BothWaysMatchDoublePrecisionOverManyDraws) {
  int linear_heads = 0;
  int panelled = 0;
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    for (const double range :
         {1e-6, 0.05, 0.5, 1.4, 2.0, 4.0, 7.0, 10.0, 16.0, 30.0, 40.0, 100.0, 300.0, 1000.0}) {
      Worst quadratic, linear;
      std::uint64_t seed = 1;
      for (const Cloud cloud :
           {Cloud::gaussian, Cloud::uniform, Cloud::two_points, Cloud::skewed, Cloud::sparse}) {
        for (const int n : {100, 331, 500}) {
          for (const double offset : {0.0, 0.7, -3.0}) {  // the last: queries on one side of zero
            const Head head = make_head(n, range, cloud, offset, ++seed);
            const Gradients exact = exact_attention(head);
            quadratic.see(head, compute(*kernels, head, false), exact);
            const Computed got = compute(*kernels, head, true);
            linear.see(head, got, exact);
            linear_heads += got.panels > 0 ? 1 : 0;
            panelled += got.panels > 1 ? 1 : 0;
          }
        }
      }
      const std::string at = std::string(kernels->name) + ", R = " + std::to_string(range);
      // Scores up to (1.7^2 R) carry their own rounding of 6e-8 each; hence the growth with R.
      const double bound = 2e-5 * std::max(1.0, range / 16);
      for (const Worst* worst : {&quadratic, &linear}) {
        const std::string which = (worst == &linear ? "linear, " : "quadratic, ") + at;
        EXPECT_LE(worst->o, bound / 4) << which;
        EXPECT_LE(worst->dq, bound) << which;
        EXPECT_LE(worst->dk, bound) << which;
        EXPECT_LE(worst->dv, bound / 2) << which;
        if (testing::Test::HasFailure() || std::getenv("MGRN_TEST_VERBOSE") != nullptr) {
          std::printf("%-40s o %.1e dq %.1e dk %.1e dv %.1e\n", which.c_str(), worst->o, worst->dq, worst->dk,
                      worst->dv);
        }
      }
    }
  }
  std::printf("%d linear heads, %d with several panels\n", linear_heads, panelled);
  EXPECT_GT(linear_heads, 200) << "the linear way is taken";
  EXPECT_GT(panelled, 50) << "panels are taken";
}

// MGRN_TEST_CASES=10000 draws as many as the figures of docs/performance.md.
TEST(Attention, LinearTimeHoldsItsBoundsOverRandomCases) {
  const char* asked = std::getenv("MGRN_TEST_CASES");
  const int cases = asked != nullptr ? std::atoi(asked) : 200;
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    for (const bool linear : {true, false}) {
      LargestErrors largest, two_points;
      for (int n = 0; n < cases; ++n) {
        base::PhiloxStream random(2024, static_cast<std::uint64_t>(n));
        constexpr Cloud kClouds[] = {Cloud::gaussian, Cloud::uniform, Cloud::two_points, Cloud::skewed};
        const Cloud cloud = kClouds[n % 4];
        const double range = std::pow(10.0, 3 * random.uniform() - 2);  // 0.01 to 10
        const int cells = 64 + static_cast<int>(random.below(450));
        const Head head =
            make_head(cells, range, cloud, random.uniform() - 0.5, static_cast<std::uint64_t>(n));
        const Gradients exact = exact_attention(head);
        const Computed got = compute(*kernels, head, linear);
        (cloud == Cloud::two_points ? two_points : largest).see(head, got, exact);
      }
      std::printf("%s/%s: output %.1e, gradients %.1e, with two-point keys %.1e\n",
                  linear ? "linear" : "quadratic", kernels->name, std::max(largest.output, two_points.output),
                  largest.gradient, two_points.gradient);
      EXPECT_LE(std::max(largest.output, two_points.output), 1e-6) << kernels->name;
      // The quadratic twin, without any series, reaches 1.3e-5 too: where softmax saturates, float32 ends.
      EXPECT_LE(largest.gradient, linear && kernels->lanes > 4 ? 1e-5 : 2e-5) << kernels->name;
      EXPECT_LE(two_points.gradient, 3e-5) << kernels->name;
    }
  }
}

TEST(Attention, LinearTimeIsTakenAtPracticalRangesAndLengths) {
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    for (const double range : {0.5, 2.0, 4.0, 8.0, 16.0, 30.0, 40.0, 300.0, 1e4}) {
      EXPECT_GT(compute(*kernels, make_head(500, range, Cloud::gaussian, 0, 3), true).panels, 0) << range;
      EXPECT_GT(compute(*kernels, make_head(500, range, Cloud::sparse, 0.3, 3), true).panels, 0) << range;
    }
    EXPECT_EQ(compute(*kernels, make_head(64, 1e4, Cloud::gaussian, 0, 3), true).panels, 0)
        << "64 cells are not worth so many panels";
  }
}

TEST(Attention, PanelsGrowWithTheLogarithmOfTheRange) {
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    for (const Cloud cloud : {Cloud::gaussian, Cloud::uniform, Cloud::skewed}) {
      const auto panels = [&](double range) {
        return compute(*kernels, make_head(500, range, cloud, 0, 3), true).panels;
      };
      // Two at each doubling or so, one on either side of zero.
      for (double range = 10; range < 1e4; range *= 10) {
        EXPECT_LE(panels(10 * range) - panels(range), 10) << range;
        EXPECT_GT(panels(10 * range), panels(range)) << range;
      }
      EXPECT_LE(panels(1e4), 30);
    }
  }
}

TEST(Attention, QueriesFarFromZeroNeedFewPanelsHoweverFar) {
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    for (const double far : {10.0, 100.0}) {  // in half ranges of the queries
      Head head = make_head(331, 20.0, Cloud::gaussian, 0, 5);
      const float shift = static_cast<float>(far * std::sqrt(20.0));
      for (float& q : head.q) q += shift;
      const Computed got = compute(*kernels, head, true);
      EXPECT_GT(got.panels, 0) << far;
      EXPECT_LE(got.panels, 2) << far;
      const Gradients exact = exact_attention(head);
      EXPECT_LE(test::relative_error(got.o, exact.o), 2e-5) << far;
    }
  }
}

TEST(Attention, HeadsAndRepeatsDoNotMix) {
  const Head one = make_head(100, 2.0, Cloud::gaussian, 0, 5);
  const Head other = make_head(100, 9.0, Cloud::sparse, 0.4, 6);
  const auto both = [&](std::vector<float> Head::*part) {
    std::vector<float> values = one.*part;
    values.insert(values.end(), (other.*part).begin(), (other.*part).end());
    return values;
  };
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    Attention attention(100, 2, {.kind = "linear", .isa = kernels->name});
    for (int repeat = 0; repeat < 2; ++repeat) {
      attention.forward(both(&Head::q), both(&Head::k), both(&Head::v));
      attention.backward(both(&Head::g));
    }
    attention.backward(both(&Head::g));
    for (int head = 0; head < 2; ++head) {
      const Computed alone = compute(*kernels, head == 0 ? one : other, true);
      EXPECT_TRUE(std::ranges::equal(attention.output(head), alone.o)) << head;
      EXPECT_TRUE(std::ranges::equal(attention.query_gradient(head), alone.dq)) << head;
      EXPECT_TRUE(std::ranges::equal(attention.key_gradient(head), alone.dk)) << head;
      EXPECT_TRUE(std::ranges::equal(attention.value_gradient(head), alone.dv)) << head;
      EXPECT_GE(attention.path(head).terms, 5 * attention.path(head).panels);
    }
  }
}

TEST(Attention, RefusesWhatItCannotDo) {
  EXPECT_THROW(Attention(0, 1, {}), base::UsageError);
  EXPECT_THROW(Attention(10, 1, {.kind = "reference"}), base::UsageError);
  EXPECT_THROW(Attention(10, 1, {.isa = "neon"}), base::UsageError);
}

TEST(Attention, DegenerateHeadsAreExact) {
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    for (const int n : {1, 2, 31, 32, 33, 500}) {
      for (const int which : {0, 1, 2, 3}) {
        Head head = make_head(n, 2.0, Cloud::gaussian, 0.5, 11);
        if (which == 0 || which == 3) std::ranges::fill(head.q, 0.75f);
        if (which == 1 || which == 3) std::ranges::fill(head.k, -1.25f);
        if (which == 2) std::ranges::fill(head.v, 3.0f);
        const Gradients exact = exact_attention(head);
        double size = 0;
        for (const float g : head.g) size += static_cast<double>(g) * g;
        size = std::sqrt(size) * 3;
        for (const bool linear : {false, true}) {
          const Computed got = compute(*kernels, head, linear);
          const auto distance = [](const std::vector<float>& a, const std::vector<double>& b) {
            double total = 0;
            for (std::size_t i = 0; i < b.size(); ++i) total += (a[i] - b[i]) * (a[i] - b[i]);
            return std::sqrt(total);
          };
          EXPECT_LE(test::relative_error(got.o, exact.o), 1e-6);
          EXPECT_LE(distance(got.dq, exact.dq), 2e-6 * size) << n << ' ' << which << ' ' << linear;
          EXPECT_LE(distance(got.dk, exact.dk), 2e-6 * size) << n << ' ' << which << ' ' << linear;
          EXPECT_LE(distance(got.dv, exact.dv), 2e-6 * size) << n << ' ' << which << ' ' << linear;
        }
      }
    }
  }
}

}  // namespace
}  // namespace mgrn::model
