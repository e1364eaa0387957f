// SPDX-License-Identifier: Apache-2.0
// One scalar head of attention in double precision, heads to try, and how far a result is from it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "multigrnformer/base/philox.hpp"

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
