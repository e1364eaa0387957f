// SPDX-License-Identifier: Apache-2.0
// One scalar head, quadratic and linear-time, against attention in double precision over many random draws.
#include <gtest/gtest.h>

#include <cmath>

#include "model/available_kernels.hpp"
#include "model/samples.hpp"
#include "multigrnformer/model/attention.hpp"

namespace mgrn::model {
namespace {

struct Head {
  std::vector<float> q, k, v, g;
};

struct Gradients {
  std::vector<double> o, dq, dk, dv;
};

Gradients exact_attention(const Head& head) {
  const std::size_t n = head.q.size();
  Gradients result{std::vector<double>(n), std::vector<double>(n), std::vector<double>(n),
                   std::vector<double>(n)};
  std::vector<double> p(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double q = head.q[i];
    double top = -INFINITY;
    for (std::size_t j = 0; j < n; ++j) top = std::max(top, q * head.k[j]);
    double z = 0;
    for (std::size_t j = 0; j < n; ++j) z += p[j] = std::exp(q * head.k[j] - top);
    double o = 0;
    for (std::size_t j = 0; j < n; ++j) o += (p[j] /= z) * head.v[j];
    result.o[i] = o;
    for (std::size_t j = 0; j < n; ++j) {
      const double ds = p[j] * (head.v[j] - o) * head.g[i];
      result.dv[j] += p[j] * head.g[i];
      result.dk[j] += ds * q;
      result.dq[i] += ds * head.k[j];
    }
  }
  return result;
}

struct Computed {
  std::vector<float> o, dq, dk, dv;
  int panels = 0;
};

Computed compute(const cpu::Kernels& kernels, const Head& head, bool linear) {
  Attention attention(static_cast<int>(head.q.size()), 1,
                      {.kind = linear ? "linear" : "quadratic", .isa = kernels.name});
  attention.forward(head.q, head.k, head.v);
  attention.backward(head.g);
  EXPECT_TRUE(attention.padding_is_untouched());
  const auto copy = [](std::span<const float> values) {
    return std::vector<float>(values.begin(), values.end());
  };
  return {.o = copy(attention.output(0)),
          .dq = copy(attention.query_gradient(0)),
          .dk = copy(attention.key_gradient(0)),
          .dv = copy(attention.value_gradient(0)),
          .panels = attention.path(0).panels};
}

enum class Cloud { gaussian, uniform, two_points, skewed, sparse };

/// A head whose scores range over R = half range of queries times half range of keys.
Head make_head(int n, double range, Cloud cloud, double offset, std::uint64_t seed) {
  base::PhiloxStream random(seed, 77);
  const auto draw = [&](Cloud kind) {
    switch (kind) {
      case Cloud::gaussian:
        return random.normal();
      case Cloud::uniform:
        return random.uniform() - 0.5;
      case Cloud::two_points:
        return random.uniform() < 0.5 ? -1.0 : 1.0;
      case Cloud::skewed:
        return std::exp(random.normal());
      default:
        return random.uniform() < 0.9 ? -0.3 : std::exp(random.normal());
    }
  };
  const auto scaled = [&](std::vector<float>& x, double half) {
    std::vector<double> values(static_cast<std::size_t>(n));
    for (double& value : values) value = draw(cloud);
    const double low = *std::min_element(values.begin(), values.end());
    const double high = *std::max_element(values.begin(), values.end());
    const double spread = high > low ? (high - low) / 2 : 1.0;
    for (const double value : values) {
      x.push_back(static_cast<float>(((value - (low + high) / 2) / spread + offset) * half));
    }
  };
  Head head;
  scaled(head.q, std::sqrt(range));
  scaled(head.k, std::sqrt(range));
  for (int i = 0; i < n; ++i) {
    head.v.push_back(static_cast<float>(random.normal() + offset));
    head.g.push_back(static_cast<float>(random.normal()));
  }
  return head;
}

// Largest errors seen. Relative to the exact result's norm, but to no less than a tenth of what such a head's
// result is when the weights are even: where softmax saturates, d o / d q is a vanishing difference of
// numbers that float32 holds to 6e-8, and no float32 implementation has a relative accuracy there.
struct Worst {
  double o = 0, dq = 0, dk = 0, dv = 0;
  void see(const Head& head, const Computed& got, const Gradients& exact) {
    const double root = std::sqrt(static_cast<double>(head.q.size()));
    const double v = half_range(head.v);
    const double g = norm(head.g);
    const double q = std::fabs(*std::ranges::max_element(head.q, {}, [](float x) { return std::fabs(x); }));
    o = std::max(o, error(got.o, exact.o, root * v));
    dq = std::max(dq, error(got.dq, exact.dq, g * v * half_range(head.k)));
    dk = std::max(dk, error(got.dk, exact.dk, g * v * q / root));
    dv = std::max(dv, error(got.dv, exact.dv, g / root));
  }

 private:
  static double half_range(const std::vector<float>& x) {
    const double low = *std::min_element(x.begin(), x.end());
    const double high = *std::max_element(x.begin(), x.end());
    return (high - low) / 2;
  }
  template <typename Values>
  static double norm(const Values& x) {
    double total = 0;
    for (const auto value : x) total += static_cast<double>(value) * static_cast<double>(value);
    return std::sqrt(total);
  }
  static double error(const std::vector<float>& got, const std::vector<double>& exact, double scale) {
    double total = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) total += (got[i] - exact[i]) * (got[i] - exact[i]);
    return std::sqrt(total) / std::max(norm(exact), 0.1 * scale);
  }
};

TEST(Attention, BothWaysMatchDoublePrecisionOverManyDraws) {
  int linear_heads = 0;
  int panelled = 0;
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    for (const double range : {1e-6, 0.05, 0.5, 1.4, 2.0, 4.0, 7.0, 10.0, 16.0, 30.0, 40.0, 100.0}) {
      Worst quadratic, linear;
      std::uint64_t seed = 1;
      for (const Cloud cloud :
           {Cloud::gaussian, Cloud::uniform, Cloud::two_points, Cloud::skewed, Cloud::sparse}) {
        for (const int n : {100, 331, 500}) {
          for (const double offset : {0.0, 0.7}) {
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

// Largest error over largest value, over many draws; the largest value counts for no less than a tenth of
// what even weights and values of random sign would give, as in Worst. MGRN_TEST_CASES=10000 draws as many as
// the figures of docs/performance.md.
TEST(Attention, LinearTimeHoldsItsBoundsOverRandomCases) {
  const char* asked = std::getenv("MGRN_TEST_CASES");
  const int cases = asked != nullptr ? std::atoi(asked) : 200;
  struct Largest {
    double output = 0, gradient = 0, two_points = 0;
  };
  const auto extent = [](const std::vector<float>& x) {
    const auto [low, high] = std::ranges::minmax(x);
    return (static_cast<double>(high) - static_cast<double>(low)) / 2;
  };
  const auto top = [](const std::vector<float>& x) {
    return static_cast<double>(
        std::fabs(*std::ranges::max_element(x, {}, [](float v) { return std::fabs(v); })));
  };
  const auto error = [](const std::vector<float>& values, const std::vector<double>& truth, double usual) {
    double difference = 0, size = 0.1 * usual;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      difference = std::max(difference, std::fabs(static_cast<double>(values[i]) - truth[i]));
      size = std::max(size, std::fabs(truth[i]));
    }
    return difference / size;
  };
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    for (const bool linear : {true, false}) {
      Largest largest;
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
        const double root = std::sqrt(static_cast<double>(cells));
        const double g = top(head.g), v = extent(head.v);
        // An output is a mean of values, so their extent is its scale.
        largest.output = std::max(largest.output, error(got.o, exact.o, 10 * v));
        const double gradient = std::max({error(got.dq, exact.dq, g * v * extent(head.k)),
                                          error(got.dk, exact.dk, g * v * top(head.q) / root),
                                          error(got.dv, exact.dv, g / root)});
        double& worst = cloud == Cloud::two_points ? largest.two_points : largest.gradient;
        worst = std::max(worst, gradient);
      }
      std::printf("%s/%s: output %.1e, gradients %.1e, with two-point keys %.1e\n",
                  linear ? "linear" : "quadratic", kernels->name, largest.output, largest.gradient,
                  largest.two_points);
      EXPECT_LE(largest.output, 1e-6) << kernels->name;
      // The quadratic twin, without any series, reaches 1.3e-5 too: where softmax saturates, float32 ends.
      EXPECT_LE(largest.gradient, linear && kernels->lanes > 4 ? 1e-5 : 2e-5) << kernels->name;
      EXPECT_LE(largest.two_points, 3e-5) << kernels->name;
    }
  }
}

TEST(Attention, LinearTimeIsTakenAtPracticalRangesAndLengths) {
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    for (const double range : {0.5, 2.0, 4.0, 8.0, 16.0, 30.0, 40.0}) {
      EXPECT_GT(compute(*kernels, make_head(500, range, Cloud::gaussian, 0, 3), true).panels, 0) << range;
      EXPECT_GT(compute(*kernels, make_head(500, range, Cloud::sparse, 0.3, 3), true).panels, 0) << range;
    }
    EXPECT_EQ(compute(*kernels, make_head(500, 1e4, Cloud::gaussian, 0, 3), true).panels, 0);
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
