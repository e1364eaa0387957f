// SPDX-License-Identifier: Apache-2.0
// Where linear-time attention cuts the range of a head's queries, and how far each panel's polynomial must
// reach.
//
// Scores are measured in units of 1 / key_half, so that keys extend to 1 on either side of their middle. Near
// zero a panel of queries is as wide as a polynomial reaches. Away from zero it may be the wider the farther
// it lies: the weights of its keys fall as e^(-c d) with the distance d from the outermost one, c being the
// panel's middle, and what falls so fast need not be met by the polynomial, only be kept small. With h half
// the panel's width the rate is c / h per unit of the polynomial's argument, and depends on the ratio of the
// panel's ends alone. So panels grow by a constant factor, and their number with the logarithm of the range.
#pragma once

#include "model/cpu/kernels.hpp"
#include "model/cpu/simd.hpp"

namespace mgrn::model::cpu {
namespace {

/// Panel p holds the queries from at[p] on and below at[p + 1], the last its end too.
struct Cuts {
  int count = 0;  ///< 0: none is to be had
  float at[kMaxPanels + 1] = {};
};

/// Up to the larger of these ranges queries are cut evenly, up to the smaller not at all.
constexpr float kOnePanel = 6.0f;
constexpr float kTwoPanels = 7.2f;
/// Of panels apart from zero: ratio of the ends.
constexpr float kGrowth = 2.4f;
/// Width that the longest polynomial meets wherever the keys' centre lies, and half of one about zero.
constexpr float kWidth = 6.4f;
constexpr float kMiddle = 4.8f;
/// Where a condition of the method fails all of these shrink by as much, down to so little.
constexpr float kShrink = 0.7f;
constexpr float kLeastShrink = 0.2f;

inline Cuts cut_evenly(float low, float high, int count) {
  Cuts cuts;
  if (count > kMaxPanels) return cuts;
  const float width = (high - low) / static_cast<float>(count);
  for (int p = 0; p <= count; ++p) cuts.at[p] = low + width * static_cast<float>(p);
  cuts.count = count;
  return cuts;
}

/// Panels of (start, end], 0 < start: a panel's end is at most `growth` times its start, or `width` above.
inline int panels_between(float start, float end, float growth, float width) {
  int count = 0;
  for (; start < end && count <= kMaxPanels; ++count) {
    start = start * growth > start + width ? start * growth : start + width;
  }
  return count;
}

/// The ratio of `count` steps of equal ratios from start to end, by Newton's method: the same bits
/// everywhere.
inline float step_ratio(float start, float end, int count, float growth) {
  if (count == 0) return growth;  // nobody steps; start may be zero
  const double whole = static_cast<double>(end) / start;
  double ratio = growth;
  for (int n = 0; n < 8; ++n) {
    double power = 1;
    for (int step = 1; step < count; ++step) power *= ratio;
    ratio -= (ratio * power - whole) / (count * power);
  }
  return static_cast<float>(ratio);
}

/// A panel about zero, or next to it, and others outwards from it, in units of 1 / key_half.
inline Cuts cut_outwards(float low, float high, float key_mean, float shrink) {
  const float growth = 1.0f + (kGrowth - 1.0f) * shrink;
  const float width = kWidth * shrink;
  // Keys that lie to one side of their middle leave a longer way to the other.
  const float reach = kWidth / (1.0f + __builtin_fabsf(key_mean));
  const float middle = (reach < kMiddle ? reach : kMiddle) * shrink;
  // What one side does not take of the panel about zero, the other may; `other` is negative where the queries
  // are all on one side, and begin at -other.
  const auto inner = [&](float extent, float other) {
    float most = width - other;
    if (most < middle) most = middle;
    if (most < -other * growth) most = -other * growth;
    return extent < most ? extent : most;
  };
  // The first panel's ends, as distances from zero towards either side.
  float up = inner(high, -low), down = inner(-low, high);
  const int upward = panels_between(up, high, growth, width);
  const int downward = panels_between(down, -low, growth, width);
  // A single panel's keys are not kept near().
  if (upward + downward == 0) return cut_evenly(low, high, 2);
  Cuts cuts;
  if (upward + downward + 1 > kMaxPanels) return cuts;
  int next = 0;
  float ratio = step_ratio(down, -low, downward, growth);
  for (int n = downward; n > 0; --n, low /= ratio) cuts.at[next++] = low;
  cuts.at[next++] = -down;
  cuts.at[next++] = up;
  ratio = step_ratio(up, high, upward, growth);
  for (int n = 0; n < upward; ++n) cuts.at[next++] = up *= ratio;
  cuts.count = next - 1;
  return cuts;
}

/// Cuts for queries from low to high; each attempt after the first has more panels.
inline Cuts cut(float low, float high, float key_half, float key_mean, int attempt) {
  const float range = 0.5f * (high - low) * key_half;
  if (range <= kTwoPanels) {
    int count = range <= kOnePanel ? 1 : 2;
    for (; attempt > 0; --attempt) count += (count + 1) / 2;
    return cut_evenly(low, high, count);
  }
  float shrink = 1.0f;
  for (; attempt > 0; --attempt) shrink *= kShrink;
  if (shrink < kLeastShrink) return {};
  Cuts cuts = cut_outwards(low * key_half, high * key_half, key_mean / key_half, shrink);
  for (int p = 0; p <= cuts.count; ++p) cuts.at[p] /= key_half;
  return cuts;
}

struct Reach {
  int polynomial;  ///< -1: none reaches
  bool beyond;     ///< keys may lie beyond its range
};

/// The shortest polynomial for a panel whose keys lie up to `span` from their centre. total: the sum of their
/// weights, which bounds Z from below. may_go_beyond: scaled distances of keys will be kept near().
inline Reach choose_polynomial(const Dimensions& d, const Panel& panel, float key_half, float span,
                               float total, bool may_go_beyond) {
  const float half = panel.query_scale;
  const float sign = panel.query_centre < 0.0f ? -1.0f : 1.0f;
  // To the outermost key on the side of the greatest weights, where the polynomial must hold in any case.
  const float top = key_half - sign * panel.key_centre;
  const float rate = __builtin_fabsf(panel.query_centre) / half;
  int known = -1;
  while (may_go_beyond && known + 1 < kRateCount && kRates[known + 1] <= rate) ++known;
  const float keys = static_cast<float>(d.cells) / total;
  for (int p = 0; p < d.polynomial_count; ++p) {
    const ExponentialPolynomial& polynomial = d.polynomials[p];
    if (half * span <= polynomial.range) return {p, false};
    if (known >= 0 && half * top <= polynomial.range && keys <= polynomial.far_keys[known]) return {p, true};
  }
  return {-1, false};
}

/// A key's scaled distance, no farther off than the polynomials' far_keys have it.
inline Vector near(Vector distance) {
  return at_most(at_least(distance, splat(-kFarthest)), splat(kFarthest));
}

}  // namespace
}  // namespace mgrn::model::cpu
