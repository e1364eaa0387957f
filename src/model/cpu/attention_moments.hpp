// SPDX-License-Identifier: Apache-2.0
// Softmax attention of scalar heads in time linear in N, to float32 rounding.
//
// A scalar head's output is a function of one number, the query: o(q) = sum_j v_j e^(q k_j) / sum_j e^(q
// k_j). On a panel of queries |q - c_q| <= h the exponential of t s, with t and s the scaled distances from
// c_q and from the key centre, is a polynomial in the product t s of 5 to 21 terms (Chebyshev series,
// rewritten in powers), and a polynomial in a product is diagonal in the moments sum_j w_j s_j^m. So keys are
// read once to form moments and queries once to evaluate, forward and backward alike.
//
// What keeps it exact: weights w_j = e^(c_q k_j) scaled to at most 1; the key centre is the weighted mean (by
// Jensen Z >= sum of w, so the truncation error is relative to Z for any data); values are centred; the
// derivative comes from shifted moments, not from the differentiated polynomial. Two conditions are checked
// on the data: the product's range fits a polynomial (attention_panels.hpp; else more panels), and kappa =
// sum_m |c_m mu_m| / min Z stays small, which bounds cancellation. A head that cannot meet them is left to
// quadratic attention.
#pragma once

#include "model/cpu/attention_panels.hpp"
#include "model/cpu/attention_quadratic.hpp"
#include "model/cpu/simd_math.hpp"

namespace mgrn::model::cpu {
namespace {

constexpr float kLargestKappa = 16.0f;
/// The same for the way back, which sums over queries: where most of them lie at t, off the middle, a key at
/// s = -1 gets e^(-R t) of each from terms of the size e^(R t). Bounds R times the mean of t.
constexpr float kLargestSkew = 2.0f;
/// Moments of the longest polynomial and one more, rounded up to what is summed together.
constexpr int kMomentRoom = (kMaxTerms + 4) / 4 * 4;

/// Moments that one pass over the entries sums, and vectors of entries that go side by side: powers wait for
/// one another. The sums, mu's and nu's, and the powers fill 16 registers.
constexpr int kMomentsTogether = 6;
constexpr int kMomentVectors = kSideBySide;
/// Moments are shared evenly among passes, so that none has less than so many.
constexpr int kLeastTogether = 3;

template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};

/// Rows that a pass over the entries leaves for the next one.
struct MomentRows {
  float* powers;  ///< w_j s_j^m
  float* steps;   ///< s_j
};

/// Adds the vectors' powers to mu, and powers times values to nu: first to one another, which leaves fewer
/// additions for a sum's rounding to come from.
MGRN_INLINE void add_vectors(const Vector (&power)[kMomentVectors], const float* values, Vector& mu,
                             Vector& nu) {
  Vector a = power[0];
  Vector b = power[0] * load(values);
#pragma GCC unroll 4
  for (int u = 1; u < kMomentVectors; ++u) {
    a += power[u];
    b = fma(power[u], load(values + u * kLanes), b);
  }
  mu += a;
  nu += b;
}

/// total[m] = sum_j p_j s_j^m and sum_j p_j v_j s_j^m, lane by lane, for kCount m: entry(j, p, s) gives a
/// vector of each. Unless this is the last pass it leaves p_j s_j^kCount in `powers`.
template <int kCount, bool kLast, typename Entry>
MGRN_APART void moments_pass(const Entry& entry, const float* values, int entries, float* powers,
                             Vector (*total)[2]) {
  Vector mu[kCount] = {}, nu[kCount] = {};
  for (int j = 0; j < entries; j += kMomentVectors * kLanes) {
    Vector power[kMomentVectors], step[kMomentVectors];
#pragma GCC unroll 4
    for (int u = 0; u < kMomentVectors; ++u) entry(j + u * kLanes, power[u], step[u]);
    MGRN_EACH(m) {
      add_vectors(power, values + j, mu[m], nu[m]);
      if (kLast && m + 1 == kCount) break;
#pragma GCC unroll 4
      for (int u = 0; u < kMomentVectors; ++u) power[u] *= step[u];
    }
    if constexpr (!kLast) {
#pragma GCC unroll 4
      for (int u = 0; u < kMomentVectors; ++u) store(powers + j + u * kLanes, power[u]);
    }
  }
  MGRN_EACH(m) {
    total[m][0] = mu[m];
    total[m][1] = nu[m];
  }
}

/// The pass of `count` moments.
template <bool kLast, typename Entry>
inline void pass_of(int count, const Entry& entry, const float* values, int entries, float* powers,
                    Vector (*total)[2]) {
  static_assert(kLeastTogether == 3 && kMomentsTogether == 6);
  static constexpr void (*kPasses[])(const Entry&, const float*, int, float*, Vector(*)[2]) = {
      moments_pass<3, kLast, Entry>, moments_pass<4, kLast, Entry>, moments_pass<5, kLast, Entry>,
      moments_pass<6, kLast, Entry>};
  kPasses[count - kLeastTogether](entry, values, entries, powers, total);
}

/// mu[m] = sum_j w_j s_j^m and nu[m] = sum_j w_j v_j s_j^m for m = 0..terms, over `entries` (a multiple of
/// kTokenBlock) of them; entry(j, w, s) gives a vector of each.
template <typename Entry>
inline void moments(const Entry& entry, const float* values, int entries, int terms, const MomentRows& rows,
                    float* mu, float* nu) {
  float* const powers = rows.powers;
  float* const steps = rows.steps;
  const auto first = [=](int j, Vector& power, Vector& step) {
    entry(j, power, step);
    store(steps + j, step);
  };
  const auto later = [=](int j, Vector& power, Vector& step) {
    power = load(powers + j);
    step = load_once(steps + j);
  };
  Vector total[kMomentRoom][2];
  const int count = terms + 1;
  const int passes = (count + kMomentsTogether - 1) / kMomentsTogether;
  for (int pass = 0, done = 0; pass < passes; ++pass) {
    const int together = (count - done) / (passes - pass);
    if (pass == 0) {
      pass_of<false>(together, first, values, entries, powers, total);
    } else if (pass + 1 < passes) {
      pass_of<false>(together, later, values, entries, powers, total + done);
    } else {
      pass_of<true>(together, later, values, entries, powers, total + done);
    }
    done += together;
  }
  for (int m = count; m % 4 != 0; ++m) total[m][0] = total[m][1] = Vector{};
  for (int m = 0; m < count; m += 4) {
    const auto close = [&](int which) {
      return sums(total[m][which], total[m + 1][which], total[m + 2][which], total[m + 3][which]);
    };
    *reinterpret_cast<Quad*>(mu + m) = close(0);
    *reinterpret_cast<Quad*>(nu + m) = close(1);
  }
}

/// value[s][u] = sum_m terms[m][s] t[u]^m, m = 0..count-1: Horner's rule on several polynomials and vectors
/// at once.
template <int kSeries, int kVectors>
MGRN_INLINE void evaluate(const float (*terms)[kSeries], int count, const Vector (&t)[kVectors],
                          Vector (&value)[kSeries][kVectors]) {
  const float(*at)[kSeries] = terms + count - 1;
#pragma GCC unroll 4
  for (int s = 0; s < kSeries; ++s) {
#pragma GCC unroll 4
    for (int u = 0; u < kVectors; ++u) value[s][u] = splat((*at)[s]);
  }
#pragma GCC unroll 2
  while (at != terms) {
    --at;
#pragma GCC unroll 4
    for (int s = 0; s < kSeries; ++s) {
      const Vector term = splat((*at)[s]);
#pragma GCC unroll 4
      for (int u = 0; u < kVectors; ++u) value[s][u] = fma(value[s][u], t[u], term);
    }
  }
}

/// Weights of the keys for queries near `centre`: e^(centre k - |centre| key_half) <= 1; padding gets 0.
inline void key_weights(const Dimensions& d, const float* keys, float centre, float key_half, float* w) {
  const float top = (centre < 0 ? centre : -centre) * key_half;
  constexpr int kCount = kSideBySide;
  for (int j = 0; j < d.padded; j += kCount * kLanes) {
    Vector score[kCount];
    MGRN_EACH(u) score[u] = fma(splat(centre), load(keys + j + u * kLanes), splat(top));
    exponential(score);
    MGRN_EACH(u) store(w + j + u * kLanes, score[u]);
  }
  clear_padding(w, d);
}

/// Vector instructions per cell of both ways, fitted to what they take; decides for quadratic where N is
/// small. Does not depend on the instruction set, so that every build takes the same way.
inline bool linear_pays(const Dimensions& d, int panels, int terms) {
  const int linear = panels * (6 * terms + 40) + 7 * terms + panels * terms * 640 / d.padded;
  return linear < 30 * d.padded;
}

/// Completes the plan's panels from its cuts; panel_of[i] is query i's, -1 for padding.
inline void assign_panels(const Dimensions& d, const float* q, const Cuts& cuts, HeadPlan& plan,
                          int* panel_of) {
  plan.panels = cuts.count;
  for (int p = 0; p < cuts.count; ++p) {
    plan.panel[p] = Panel{};
    plan.panel[p].query_centre = 0.5f * (cuts.at[p] + cuts.at[p + 1]);
    plan.panel[p].query_scale = 0.5f * (cuts.at[p + 1] - cuts.at[p]);
  }
  if (cuts.count == 1) {
    plan.panel[0].end = d.padded;
    return;
  }
  constexpr int kCount = kSideBySide;
  for (int i = 0; i < d.padded; i += kCount * kLanes) {
    Vector query[kCount];
    Integers panel[kCount] = {};
    MGRN_EACH(u) query[u] = load(q + i + u * kLanes);
    for (int p = 1; p < cuts.count; ++p) {
      const Vector begin = splat(cuts.at[p]);
      MGRN_EACH(u) panel[u] -= query[u] >= begin;
    }
    MGRN_EACH(u) {
      *reinterpret_cast<Integers*>(panel_of + i + u * kLanes) = panel[u];
    }
  }
  for (int i = d.cells; i < d.padded; ++i) panel_of[i] = -1;
}

/// Sorts a row by panel, stable: `to` gets the values of the first panel's queries, then those of the second,
/// each panel starting on a block. What no query fills is *fill, or, where that is null, the panel's centre.
/// Sets the panels' slots. `to` has room for slots(): whole vectors are stored.
inline void sort_by_panel(const Dimensions& d, const int* panel_of, HeadPlan& plan, const float* from,
                          float* to, const float* fill) {
  const int padded = d.padded;
  float* next = to;
  for (int p = 0; p < plan.panels; ++p) {
    Panel& panel = plan.panel[p];
    panel.begin = static_cast<int>(next - to);
    const Integers number = Integers{} + p;
#pragma GCC unroll 4
    for (int i = 0; i < padded; i += kLanes) {
      const unsigned mask = bits(*reinterpret_cast<const Integers*>(panel_of + i) == number);
      store_loose(next, compress(load(from + i), mask));
      next += __builtin_popcount(mask);
    }
    const int filled = static_cast<int>(next - to);
    panel.end = (filled + kTokenBlock - 1) / kTokenBlock * kTokenBlock;
    const Vector rest = splat(fill != nullptr ? *fill : panel.query_centre);
    for (; next < to + panel.end; next += kLanes) store_loose(next, rest);
    next = to + panel.end;
  }
}

/// The way back of two rows: to_*[i] is from_*'s value of query i; padding gets 0.
inline void unsort(const Dimensions& d, const int* panel_of, const HeadPlan& plan, const float* from_first,
                   const float* from_second, float* to_first, float* to_second) {
  const int padded = d.padded;
  for (int p = 0; p < plan.panels; ++p) {
    std::ptrdiff_t next = plan.panel[p].begin;
    const Integers number = Integers{} + p;
#pragma GCC unroll 4
    for (int i = 0; i < padded; i += kLanes) {
      const Integers here = *reinterpret_cast<const Integers*>(panel_of + i) == number;
      const unsigned mask = bits(here);
      // Queries of later panels are zero until their turn comes.
      const Vector first = p == 0 ? Vector{} : load(to_first + i);
      const Vector second = p == 0 ? Vector{} : load(to_second + i);
      store(to_first + i, expand(load_loose(from_first + next), here, mask, first));
      store(to_second + i, expand(load_loose(from_second + next), here, mask, second));
      next += __builtin_popcount(mask);
    }
  }
}

/// Evaluates one panel; leaves the keys' weights in w. Returns false where a condition of the method fails.
/// kSeveral: the head has others, so that keys may lie beyond this one's reach. query_mean: of the head.
template <bool kSeveral>
inline bool evaluate_panel(const Dimensions& d, const float* q, float query_mean, const float* keys,
                           const float* values, const HeadPlan& plan, Panel& panel, float* w,
                           const MomentRows& rows, float* mixed, float* slope, float* inverse_total) {
  const float half = panel.query_scale;
  key_weights(d, keys, panel.query_centre, plan.key_half, w);
  panel.key_centre = 0.0f;
  float total_weight = 1.0f;
  if (half * plan.key_half > 1.5f) {
    Vector total[2] = {};
    Vector weighted[2] = {};
    for (int j = 0; j < d.padded; j += 2 * kLanes) {
#pragma GCC unroll 2
      for (int u = 0; u < 2; ++u) {
        const Vector of_keys = load(w + j + u * kLanes);
        total[u] += of_keys;
        weighted[u] = fma(of_keys, load(keys + j + u * kLanes), weighted[u]);
      }
    }
    total_weight = sum(total[0] + total[1]);
    panel.key_centre = sum(weighted[0] + weighted[1]) / total_weight;
  }
  float span = plan.key_half + __builtin_fabsf(panel.key_centre);
  if constexpr (!kSeveral) {
    if (!(__builtin_fabsf((query_mean - panel.query_centre) * span) <= kLargestSkew)) return false;
  }
  // Equal keys leave no span; any positive one then does, since every s is 0.
  if (span < 1e-15f) span = 1e-15f;
  const Reach reach = choose_polynomial(d, panel, plan.key_half, span, total_weight, kSeveral);
  panel.polynomial = reach.polynomial;
  if (panel.polynomial < 0) return false;
  const ExponentialPolynomial& exponent = d.polynomials[panel.polynomial];
  const int terms = exponent.terms;
  // The queries' scale is widened until range = query_scale * span holds exactly; where keys may lie beyond
  // the polynomial's range, the span is shortened to it.
  if (reach.beyond) span = exponent.range / half;
  panel.query_scale = exponent.range / span;
  panel.inverse_span = 1.0f / span;
  alignas(16) float mu[kMomentRoom];
  alignas(16) float nu[kMomentRoom];
  const Vector key_centre = splat(panel.key_centre);
  const Vector inverse_span = splat(panel.inverse_span);
  moments(
      [=](int j, Vector& weight, Vector& step) {
        weight = load(w + j);
        step = (load(keys + j) - key_centre) * inverse_span;
        if constexpr (kSeveral) step = near(step);
      },
      values, d.padded, terms, rows, mu, nu);
  // Z, its numerator A, and both with keys as a factor.
  float series[kMaxTerms][4];
  float kappa = 0.0f;
  for (int m = 0; m < terms; ++m) {
    const float c = exponent.coefficients[m];
    const float with_keys = c * span;  // range / query_scale = span
    series[m][0] = c * mu[m];
    series[m][1] = c * nu[m];
    series[m][2] = with_keys * mu[m + 1];
    series[m][3] = with_keys * nu[m + 1];
    kappa += __builtin_fabsf(c * mu[m]);
  }
  const Vector inverse_scale = splat(1.0f / panel.query_scale);
  const Vector query_centre = splat(panel.query_centre);
  const int end = panel.end;
  Vector least = splat(__builtin_inff());
  const auto evaluate_at = [&](auto together, int i) {
    constexpr int kCount = decltype(together)::value;
    Vector t[kCount], sums[4][kCount];
    MGRN_EACH(u) t[u] = (load(q + i + u * kLanes) - query_centre) * inverse_scale;
    evaluate(series, terms, t, sums);
    MGRN_EACH(u) {
      const int at = i + u * kLanes;
      least = at_most(sums[0][u], least);
      const Vector inverse = 1.0f / sums[0][u];
      const Vector output = sums[1][u] * inverse;
      store(inverse_total + at, inverse);
      store(mixed + at, output);
      store(slope + at, (sums[3][u] - output * sums[2][u]) * inverse);
    }
  };
  // Twelve independent chains, as every link waits for the one before; panels are of even numbers of vectors.
  int i = panel.begin;
  for (; end - i == 3 * kLanes || end - i > 4 * kLanes; i += 3 * kLanes) evaluate_at(Constant<3>{}, i);
  for (; i < end; i += 2 * kLanes) evaluate_at(Constant<2>{}, i);
  // A non-finite or non-positive Z fails here too.
  const float bottom = smallest(least);
  return bottom > 0.0f && kappa <= kLargestKappa * bottom;
}

/// Smallest, largest and mean of a row.
struct RowRange {
  float low;
  float high;
  float mean;
};

/// Forward pass of one head; false leaves it to quadratic attention. q, keys (centred; their mean is
/// key_mean), values (centred), key_weight (written): [padded]; sorted: [kSortedRows][slots], written; rows:
/// kScratchRows of slots.
inline bool linear_forward(const Dimensions& d, const float* q, const RowRange& queries, const float* keys,
                           float key_mean, const float* values, float* key_weight, float* sorted, float* rows,
                           HeadPlan& plan, int* panel_of, float* mixed, float* slope, float* inverse_total) {
  const float range = 0.5f * (queries.high - queries.low) * plan.key_half;
  if (!(range < 1e30f)) return false;
  float* sorted_mixed = sorted + slots(d.padded);
  float* sorted_inverse = sorted_mixed + slots(d.padded);
  float* sorted_slope = rows;
  const MomentRows moment_rows = {.powers = rows + 2 * slots(d.padded), .steps = rows + 3 * slots(d.padded)};
  for (int attempt = 0;; ++attempt) {
    const Cuts cuts = cut(queries.low, queries.high, plan.key_half, key_mean, attempt);
    const int count = cuts.count;
    if (count == 0 || !linear_pays(d, count, range < 3.0f ? 12 : 19)) break;
    assign_panels(d, q, cuts, plan, panel_of);
    bool good = true;
    if (count == 1) {
      Panel& panel = plan.panel[0];
      good = evaluate_panel<false>(d, q, queries.mean, keys, values, plan, panel, key_weight, moment_rows,
                                   mixed, slope, inverse_total);
    } else {
      sort_by_panel(d, panel_of, plan, q, sorted, nullptr);
      for (int p = 0; p < count && good; ++p) {
        if (plan.panel[p].begin == plan.panel[p].end) continue;
        good = evaluate_panel<true>(d, sorted, queries.mean, keys, values, plan, plan.panel[p], key_weight,
                                    moment_rows, sorted_mixed, sorted_slope, sorted_inverse);
      }
      if (good) {
        unsort(d, panel_of, plan, sorted_mixed, sorted_slope, mixed, slope);
      }
    }
    if (good) return true;
  }
  plan.panels = 0;
  return false;
}

/// One panel's part of the keys' and values' gradients, which start here where it is the only one, else are
/// added to. w: the keys' weights; entry, outputs: of the panel's queries, as moments() wants them: g / Z
/// with scaled queries, and what is mixed.
template <bool kOnly, typename Entry>
inline void panel_backward(const Dimensions& d, const Panel& panel, const float* keys, const float* values,
                           const float* w, const Entry& entry, const float* outputs, const MomentRows& rows,
                           float* key_gradient, float* value_gradient) {
  const ExponentialPolynomial& exponent = d.polynomials[panel.polynomial];
  const int terms = exponent.terms;
  const int padded = d.padded;
  alignas(16) float tau[kMomentRoom];
  alignas(16) float sigma[kMomentRoom];  // of x o: enters with a minus
  moments(entry, outputs, panel.end - panel.begin, terms, rows, tau, sigma);
  // Of the value's gradient, and of the key's: what comes with the value as a factor, and the rest.
  float series[kMaxTerms][3];
  for (int m = 0; m < terms; ++m) {
    const float c = exponent.coefficients[m];
    series[m][0] = c * tau[m];
    series[m][1] = c * (panel.query_centre * tau[m] + panel.query_scale * tau[m + 1]);
    series[m][2] = -c * (panel.query_centre * sigma[m] + panel.query_scale * sigma[m + 1]);
  }
  const Vector centre = splat(panel.key_centre);
  const Vector inverse_span = splat(panel.inverse_span);
  const auto evaluate_at = [&](auto together, int j) {
    constexpr int kCount = decltype(together)::value;
    Vector step[kCount], sums[3][kCount];
    MGRN_EACH(u) {
      step[u] = (load(keys + j + u * kLanes) - centre) * inverse_span;
      if constexpr (!kOnly) step[u] = near(step[u]);
    }
    evaluate(series, terms, step, sums);
    MGRN_EACH(u) {
      const int at = j + u * kLanes;
      const Vector weight = load(w + at);
      const Vector both = fma(load(values + at), sums[1][u], sums[2][u]);
      if constexpr (kOnly) {
        store(value_gradient + at, weight * sums[0][u]);
        store(key_gradient + at, weight * both);
      } else {
        store(value_gradient + at, fma(weight, sums[0][u], load(value_gradient + at)));
        store(key_gradient + at, fma(weight, both, load(key_gradient + at)));
      }
    }
  };
  // As many independent chains as the registers hold: three each, and every link waits for the one before.
  constexpr int kCount = kLanes == 16 ? 4 : 3;
  int j = 0;
  for (; j + kCount * kLanes <= padded; j += kCount * kLanes) evaluate_at(Constant<kCount>{}, j);
  for (; j < padded; j += kLanes) evaluate_at(Constant<1>{}, j);
}

/// Gradients of keys and values of a head that linear_forward computed. rows: kScratchRows of slots.
inline void linear_backward(const Dimensions& d, const float* q, const float* keys, const float* values,
                            const float* key_weight, const float* sorted, HeadPlan& plan, const int* panel_of,
                            const float* mixed, const float* inverse_total, const float* gradient,
                            float* rows, float* key_gradient, float* value_gradient) {
  const MomentRows moment_rows = {.powers = rows + 2 * slots(d.padded), .steps = rows + 3 * slots(d.padded)};
  if (plan.panels == 1) {
    const Panel& panel = plan.panel[0];
    const Vector centre = splat(panel.query_centre);
    const Vector inverse_scale = splat(1.0f / panel.query_scale);
    panel_backward<true>(
        d, panel, keys, values, key_weight,
        [=](int i, Vector& weight, Vector& step) {
          weight = load(gradient + i) * load(inverse_total + i);
          step = (load(q + i) - centre) * inverse_scale;
        },
        mixed, moment_rows, key_gradient, value_gradient);
    return;
  }
  const float* sorted_mixed = sorted + slots(d.padded);
  const float* sorted_inverse = sorted_mixed + slots(d.padded);
  float* sorted_gradient = rows;
  float* w = rows + slots(d.padded);
  constexpr float kZero = 0.0f;
  sort_by_panel(d, panel_of, plan, gradient, sorted_gradient, &kZero);
  for (int j = 0; j < d.padded; j += kLanes) {
    store(key_gradient + j, Vector{});
    store(value_gradient + j, Vector{});
  }
  for (int p = 0; p < plan.panels; ++p) {
    const Panel& panel = plan.panel[p];
    if (panel.begin == panel.end) continue;
    const Vector centre = splat(panel.query_centre);
    const Vector inverse_scale = splat(1.0f / panel.query_scale);
    key_weights(d, keys, panel.query_centre, plan.key_half, w);
    const float* panel_gradient = sorted_gradient + panel.begin;
    const float* panel_inverse = sorted_inverse + panel.begin;
    const float* panel_queries = sorted + panel.begin;
    panel_backward<false>(
        d, panel, keys, values, w,
        [=](int i, Vector& weight, Vector& step) {
          weight = load(panel_gradient + i) * load(panel_inverse + i);
          step = (load(panel_queries + i) - centre) * inverse_scale;
        },
        sorted_mixed + panel.begin, moment_rows, key_gradient, value_gradient);
  }
}

}  // namespace
}  // namespace mgrn::model::cpu
