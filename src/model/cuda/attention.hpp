// SPDX-License-Identifier: Apache-2.0
// Softmax attention of one scalar head by one group of threads, in time linear in N: the algorithm of
// cpu/attention_moments.hpp, whose page comment says why it is exact. Each thread takes every threads-th
// cell.
#pragma once

#include "model/cuda/group.hpp"

namespace mgrn::model::cuda {

inline constexpr float kLargestKappa = 16.0f;
inline constexpr float kInfinity = __builtin_huge_valf();

/// Rows of one head, [cells].
struct HeadRows {
  const float *query, *key, *value;
  float *mixed, *slope, *inverse_total;
};

MGRN_DEVICE int panel_of(const HeadPlan& plan, int panels, float q) {
  const float place = (q - plan.query_low) * plan.inverse_panel_width;
  // NaN goes to the first panel, and stays NaN there.
  return place > 0.0f ? (place < static_cast<float>(panels) ? static_cast<int>(place) : panels - 1) : 0;
}

/// e^(centre k - |centre| key_half) <= 1
MGRN_DEVICE float key_weight(float key, float centre, float key_half) {
  return exponential(fma(centre, key, -absolute(centre) * key_half));
}

/// Moments sum w s^m and sum w v s^m, m = 0..terms, of what element(i, w, v, s) gives for i < count: into
/// scratch->totals, the second kind from 32 on.
template <typename Block, typename Element>
MGRN_DEVICE void moments(const Group<Block>& group, int count, int terms, const Element& element) {
  static_assert(kTerms / 4 * 4 + 4 <= kWarp);
  float zeroth[kWarp] = {};
  float first[kWarp] = {};
  MGRN_NO_UNROLL
  for (int i = group.thread; i < count; i += group.threads) {
    float power, value, step;
    element(i, power, value, step);
    // By fours, so that short polynomials leave early; the moments beyond `terms` are not used.
    MGRN_UNROLL
    for (int begin = 0; begin <= kTerms; begin += 4) {
      if (begin <= terms) {
        MGRN_UNROLL
        for (int m = begin; m < begin + 4; ++m) {
          zeroth[m] += power;
          first[m] = fma(power, value, first[m]);
          power *= step;
        }
      }
    }
  }
  group_totals(group, zeroth, first);
}

/// Evaluates one panel, whose plan is completed. False where a condition of the method fails; the same in
/// every thread.
template <typename Block>
MGRN_DEVICE bool evaluate_panel(const Group<Block>& group, const Sizes& sizes, const Polynomial* polynomials,
                                const HeadRows& rows, const HeadPlan& plan, int panels, int index,
                                float panel_width, Panel& panel) {
  const float half = 0.5f * panel_width;
  const float key_half = plan.key_half;
  panel.query_centre = plan.query_low + panel_width * (static_cast<float>(index) + 0.5f);
  panel.key_centre = 0.0f;
  panel.polynomial = -1;
  const bool far = half * key_half > 1.5f;
  if (far || panels > 1) {
    float sums[3] = {};  // of weights, of weighted keys, and the number of queries
    for (int j = group.thread; j < sizes.cells; j += group.threads) {
      const float key = rows.key[j] - plan.key_middle;
      const float weight = key_weight(key, panel.query_centre, key_half);
      sums[0] += weight;
      sums[1] = fma(weight, key, sums[1]);
      sums[2] += panel_of(plan, panels, rows.query[j]) == index ? 1.0f : 0.0f;
    }
    group_combine(group, Add{}, sums);
    if (sums[2] == 0.0f) return true;
    if (far) panel.key_centre = sums[1] / sums[0];
  }
  float span = key_half + absolute(panel.key_centre);
  // Equal keys leave no span; any positive one then does, since every s is 0.
  if (span < 1e-15f) span = 1e-15f;
  for (int p = sizes.polynomial_count - 1; p >= 0; --p) {
    if (half * span <= polynomials[p].range) panel.polynomial = p;
  }
  if (panel.polynomial < 0) return false;
  const Polynomial& exponent = polynomials[panel.polynomial];
  const int terms = exponent.terms;
  panel.query_scale = exponent.range / span;
  panel.inverse_span = 1.0f / span;
  moments(group, sizes.cells, terms, [&](int j, float& weight, float& value, float& s) {
    const float key = rows.key[j] - plan.key_middle;
    weight = key_weight(key, panel.query_centre, key_half);
    value = rows.value[j] - plan.value_middle;
    s = (key - panel.key_centre) * panel.inverse_span;
  });
  GroupScratch& scratch = *group.scratch;
  for (int m = group.thread; m < terms; m += group.threads) {
    const float c = exponent.coefficients[m];
    scratch.series[m][0] = c * scratch.totals[m];
    scratch.series[m][1] = c * scratch.totals[kWarp + m];
    scratch.series[m][2] = c * scratch.totals[m + 1] * span;  // range / query_scale = span
    scratch.series[m][3] = c * scratch.totals[kWarp + m + 1] * span;
  }
  group.sync();
  float kappa = 0.0f;
  for (int m = 0; m < terms; ++m) kappa += absolute(scratch.series[m][0]);
  const float inverse_scale = 1.0f / panel.query_scale;
  float most[1] = {-kInfinity};  // of -Z
  MGRN_NO_UNROLL
  for (int i = group.thread; i < sizes.cells; i += group.threads) {
    const float q = rows.query[i];
    if (panels > 1 && panel_of(plan, panels, q) != index) continue;
    const float t = (q - panel.query_centre) * inverse_scale;
    float z = 0.0f, a = 0.0f, zk = 0.0f, ak = 0.0f;
    MGRN_NO_UNROLL
    for (int m = terms - 1; m >= 0; --m) {
      z = fma(z, t, scratch.series[m][0]);
      a = fma(a, t, scratch.series[m][1]);
      zk = fma(zk, t, scratch.series[m][2]);
      ak = fma(ak, t, scratch.series[m][3]);
    }
    most[0] = larger(most[0], -z);
    const float inverse = 1.0f / z;
    const float output = a * inverse;
    rows.mixed[i] = output;
    rows.slope[i] = (ak - output * zk) * inverse;
    rows.inverse_total[i] = inverse;
  }
  group_combine(group, Larger{}, most);
  return most[0] < 0.0f && kappa <= -kLargestKappa * most[0];
}

// Sums over keys are closed after so many: rounding then grows with the square root of N, not with N.
inline constexpr int kChunk = 32;

template <typename Block>
MGRN_DEVICE void quadratic_forward(const Group<Block>& group, const Sizes& sizes, const HeadRows& rows,
                                   const HeadPlan& plan) {
  MGRN_NO_UNROLL
  for (int i = group.thread; i < sizes.cells; i += group.threads) {
    const float q = rows.query[i];
    const float top = -absolute(q) * plan.key_half;
    float sums[4] = {};
    MGRN_NO_UNROLL
    for (int begin = 0; begin < sizes.cells; begin += kChunk) {
      const int end = begin + kChunk < sizes.cells ? begin + kChunk : sizes.cells;
      float part[4] = {};
      MGRN_NO_UNROLL
      for (int j = begin; j < end; ++j) {
        const float key = rows.key[j] - plan.key_middle;
        const float value = rows.value[j] - plan.value_middle;
        const float e = exponential(fma(q, key, top));
        part[0] += e;
        part[1] = fma(e, value, part[1]);
        part[2] = fma(e, key, part[2]);
        part[3] = fma(e * key, value, part[3]);
      }
      MGRN_UNROLL
      for (int n = 0; n < 4; ++n) sums[n] += part[n];
    }
    const float inverse = 1.0f / sums[0];
    const float output = sums[1] * inverse;
    rows.mixed[i] = output;
    rows.slope[i] = (sums[3] - output * sums[2]) * inverse;
    rows.inverse_total[i] = inverse;
  }
}

template <typename Block>
MGRN_DEVICE void attention_forward(const Group<Block>& group, const Sizes& sizes,
                                   const Polynomial* polynomials, const HeadRows& rows, HeadPlan& stored) {
  float extremes[6];  // of q, -q, k, -k, v, -v
  MGRN_UNROLL
  for (int n = 0; n < 6; ++n) extremes[n] = -kInfinity;
  for (int i = group.thread; i < sizes.cells; i += group.threads) {
    const float x[3] = {rows.query[i], rows.key[i], rows.value[i]};
    MGRN_UNROLL
    for (int n = 0; n < 3; ++n) {
      extremes[2 * n] = larger(extremes[2 * n], x[n]);
      extremes[2 * n + 1] = larger(extremes[2 * n + 1], -x[n]);
    }
  }
  group_combine(group, Larger{}, extremes);
  HeadPlan plan;
  plan.panels = 0;
  plan.key_middle = 0.5f * (extremes[2] - extremes[3]);
  plan.value_middle = 0.5f * (extremes[4] - extremes[5]);
  // Not (high - low)/2: the half range must bound the rounded, centred keys.
  plan.key_half = larger(extremes[2] - plan.key_middle, plan.key_middle + extremes[3]);
  plan.query_low = -extremes[1];
  plan.inverse_panel_width = 0.0f;
  const float width = extremes[0] - plan.query_low;
  const float range = 0.5f * width * plan.key_half;
  if (range < 3.4f * kPanels) {
    int count = range <= 6.0f ? 1 : static_cast<int>(range * 0.3f) + 1;
    while (count <= kPanels && plan.panels == 0) {
      const float panel_width = width / static_cast<float>(count);
      plan.inverse_panel_width = count > 1 ? 1.0f / panel_width : 0.0f;
      bool good = true;
      MGRN_NO_UNROLL
      for (int p = 0; p < count && good; ++p) {
        Panel panel;
        good = evaluate_panel(group, sizes, polynomials, rows, plan, count, p, panel_width, panel);
        if (group.thread == 0) stored.panel[p] = panel;
      }
      if (good) plan.panels = count;
      count += (count + 1) / 2;
    }
  }
  if (plan.panels == 0) quadratic_forward(group, sizes, rows, plan);
  if (group.thread == 0) {
    stored.panels = plan.panels;
    stored.key_middle = plan.key_middle;
    stored.key_half = plan.key_half;
    stored.value_middle = plan.value_middle;
    stored.query_low = plan.query_low;
    stored.inverse_panel_width = plan.inverse_panel_width;
  }
}

/// Gradients of keys and values of the head; the query's is gradient * slope. key_gradient and
/// value_gradient: [cells], each element touched by one thread.
template <typename Block>
MGRN_DEVICE void attention_backward(const Group<Block>& group, const Sizes& sizes,
                                    const Polynomial* polynomials, const HeadRows& rows, const HeadPlan& plan,
                                    const float* gradient, float* key_gradient, float* value_gradient) {
  const int panels = plan.panels;
  const float key_middle = plan.key_middle;
  const float value_middle = plan.value_middle;
  const float key_half = plan.key_half;
  if (panels == 0) {
    MGRN_NO_UNROLL
    for (int j = group.thread; j < sizes.cells; j += group.threads) {
      const float key = rows.key[j] - key_middle;
      const float value = rows.value[j] - value_middle;
      float dk = 0.0f, dv = 0.0f;
      MGRN_NO_UNROLL
      for (int begin = 0; begin < sizes.cells; begin += kChunk) {
        const int end = begin + kChunk < sizes.cells ? begin + kChunk : sizes.cells;
        float pk = 0.0f, pv = 0.0f;
        MGRN_NO_UNROLL
        for (int i = begin; i < end; ++i) {
          const float q = rows.query[i];
          const float e = exponential(fma(q, key, -absolute(q) * key_half));
          const float x = gradient[i] * rows.inverse_total[i];
          pv = fma(e, x, pv);
          pk = fma(e * (x * q), value - rows.mixed[i], pk);
        }
        dk += pk;
        dv += pv;
      }
      key_gradient[j] = dk;
      value_gradient[j] = dv;
    }
    return;
  }
  for (int j = group.thread; j < sizes.cells; j += group.threads) key_gradient[j] = value_gradient[j] = 0.0f;
  GroupScratch& scratch = *group.scratch;
  MGRN_NO_UNROLL
  for (int p = 0; p < panels; ++p) {
    const Panel panel = plan.panel[p];
    if (panel.polynomial < 0) continue;
    const Polynomial& exponent = polynomials[panel.polynomial];
    const int terms = exponent.terms;
    const float inverse_scale = 1.0f / panel.query_scale;
    moments(group, sizes.cells, terms, [&](int i, float& weight, float& value, float& t) {
      const float q = rows.query[i];
      const bool member = panels == 1 || panel_of(plan, panels, q) == p;
      weight = member ? gradient[i] * rows.inverse_total[i] : 0.0f;
      value = member ? rows.mixed[i] : 0.0f;
      t = member ? (q - panel.query_centre) * inverse_scale : 0.0f;
    });
    for (int m = group.thread; m < terms; m += group.threads) {
      const float c = exponent.coefficients[m];
      scratch.series[m][0] = c * scratch.totals[m];
      scratch.series[m][1] =
          c * (panel.query_centre * scratch.totals[m] + panel.query_scale * scratch.totals[m + 1]);
      scratch.series[m][2] = -c * (panel.query_centre * scratch.totals[kWarp + m] +
                                   panel.query_scale * scratch.totals[kWarp + m + 1]);
    }
    group.sync();
    MGRN_NO_UNROLL
    for (int j = group.thread; j < sizes.cells; j += group.threads) {
      const float key = rows.key[j] - key_middle;
      const float weight = key_weight(key, panel.query_centre, key_half);
      const float s = (key - panel.key_centre) * panel.inverse_span;
      float dv = 0.0f, by_value = 0.0f, plain = 0.0f;
      MGRN_NO_UNROLL
      for (int m = terms - 1; m >= 0; --m) {
        dv = fma(dv, s, scratch.series[m][0]);
        by_value = fma(by_value, s, scratch.series[m][1]);
        plain = fma(plain, s, scratch.series[m][2]);
      }
      value_gradient[j] = fma(weight, dv, value_gradient[j]);
      key_gradient[j] = fma(weight, fma(rows.value[j] - value_middle, by_value, plain), key_gradient[j]);
    }
    // The series may be written again.
    group.sync();
  }
}

}  // namespace mgrn::model::cuda
