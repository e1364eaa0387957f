// SPDX-License-Identifier: Apache-2.0
// One scalar head of attention in double precision, heads to try, and how far a result is from it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/model/attention.hpp"

namespace mgrn::model::test {

struct Head {
  std::vector<float> q, k, v, g;
};

struct Gradients {
  std::vector<double> o, dq, dk, dv;
};

inline Gradients exact_attention(const Head& head) {
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

/// The head by the kernels of one instruction set; kind: linear or quadratic.
inline Computed compute(const Head& head, const std::string& kind, const std::string& isa) {
  Attention attention(static_cast<int>(head.q.size()), 1, {.kind = kind, .isa = isa});
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

// Largest error over largest value, over all heads seen; the largest value counts for no less than a tenth of
// what even weights and values of random sign would give, as in Worst below.
struct LargestErrors {
  double output = 0;
  double gradient = 0;

  void see(const Head& head, const Computed& got, const Gradients& exact) {
    const double root = std::sqrt(static_cast<double>(head.q.size()));
    const double g = top(head.g), v = extent(head.v);
    // An output is a mean of values, so their extent is its scale.
    output = std::max(output, error(got.o, exact.o, 10 * v));
    gradient =
        std::max({gradient, error(got.dq, exact.dq, g * v * extent(head.k)),
                  error(got.dk, exact.dk, g * v * top(head.q) / root), error(got.dv, exact.dv, g / root)});
  }

 private:
  static double extent(const std::vector<float>& x) {
    const auto [low, high] = std::ranges::minmax(x);
    return (static_cast<double>(high) - static_cast<double>(low)) / 2;
  }
  static double top(const std::vector<float>& x) {
    return static_cast<double>(
        std::fabs(*std::ranges::max_element(x, {}, [](float v) { return std::fabs(v); })));
  }
  static double error(const std::vector<float>& values, const std::vector<double>& truth, double usual) {
    double difference = 0, size = 0.1 * usual;
    for (std::size_t i = 0; i < truth.size(); ++i) {
      difference = std::max(difference, std::fabs(static_cast<double>(values[i]) - truth[i]));
      size = std::max(size, std::fabs(truth[i]));
    }
    return difference / size;
  }
};

enum class Cloud { gaussian, uniform, two_points, skewed, sparse };

/// A head whose scores range over R = half range of queries times half range of keys.
inline Head make_head(int n, double range, Cloud cloud, double offset, std::uint64_t seed) {
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

}  // namespace mgrn::model::test
