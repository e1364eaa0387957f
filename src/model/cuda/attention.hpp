// SPDX-License-Identifier: Apache-2.0
// Softmax attention of scalar heads in time linear in N: the algorithm of cpu/attention_moments.hpp, whose
// page comment says why it is exact. Sums over cells are made panel by panel: groups of threads share out the
// panels of all heads, so that none waits for the head that has most of them. What is then evaluated for each
// cell is done by the thread that has the cell.
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

/// A panel's first polynomial that reaches so far, -1 where none does; the same in every thread.
template <typename Block>
MGRN_DEVICE int polynomial_reaching(const Group<Block>& group, const Sizes& sizes,
                                    const Polynomial* polynomials, float range) {
  // A lane looks at one, and there are no more of them than lanes.
  const int lane = group.lane();
  const bool reaches = lane < sizes.polynomial_count && range <= polynomials[lane].range;
  const float nearest = warp_combine(group.block, Larger{}, reaches ? -static_cast<float>(lane) : -kInfinity);
  return nearest == -kInfinity ? -1 : static_cast<int>(-nearest);
}

/// Moments sum w s^m and sum w v s^m of what element(i, w, v, s) gives for i < count. In the group's first
/// warp each lane m then calls store(m, the m-th, the next, the m-th with v, the next with v), lanes from
/// `terms` on with the last m. Ends with the scratch in use.
template <typename Block, typename Element, typename Store>
MGRN_DEVICE void moments(const Group<Block>& group, int count, int terms, const Element& element,
                         const Store& store) {
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
  group_totals(group, terms + 1, zeroth, first);
  if (group.warp() == 0) {
    const float* const totals = group.scratch->totals;
    const int m = group.lane() < terms ? group.lane() : terms - 1;
    store(m, totals[m], totals[m + 1], totals[kWarp + m], totals[kWarp + m + 1]);
  }
}

/// Completes the plan of one of a head's panels and works out its series. Sets the trial's `failed` where no
/// polynomial reaches so far.
template <typename Block>
MGRN_DEVICE void expand_panel(const Group<Block>& group, const Sizes& sizes, const Polynomial* polynomials,
                              const HeadRows& rows, HeadPlan& plan, int index, Trial& trial, Slot& slot) {
  const int panels = plan.panels;
  const float panel_width = trial.width / static_cast<float>(panels);
  const float half = 0.5f * panel_width;
  const float key_half = plan.key_half;
  const float key_middle = plan.key_middle;
  const float value_middle = plan.value_middle;
  const bool leader = group.thread == 0;
  Panel panel;
  panel.query_centre = plan.query_low + panel_width * (static_cast<float>(index) + 0.5f);
  panel.key_centre = 0.0f;
  panel.polynomial = -1;
  const bool far = half * key_half > 1.5f;
  if (far || panels > 1) {
    float sums[3] = {};  // of weights, of weighted keys, and the number of queries
    for (int j = group.thread; j < sizes.cells; j += group.threads) {
      const float key = rows.key[j] - key_middle;
      const float weight = key_weight(key, panel.query_centre, key_half);
      sums[0] += weight;
      sums[1] = fma(weight, key, sums[1]);
      sums[2] += panel_of(plan, panels, rows.query[j]) == index ? 1.0f : 0.0f;
    }
    group_combine(group, Add{}, sums);
    if (sums[2] == 0.0f) {
      if (leader) plan.panel[index].polynomial = -1;
      return;
    }
    if (far) panel.key_centre = sums[1] / sums[0];
  }
  float span = key_half + absolute(panel.key_centre);
  // Equal keys leave no span; any positive one then does, since every s is 0.
  if (span < 1e-15f) span = 1e-15f;
  panel.polynomial = polynomial_reaching(group, sizes, polynomials, half * span);
  if (panel.polynomial < 0) {
    if (leader) {
      plan.panel[index].polynomial = -1;
      trial.failed = 1;
    }
    return;
  }
  const Polynomial& exponent = polynomials[panel.polynomial];
  const int terms = exponent.terms;
  panel.query_scale = exponent.range / span;
  panel.inverse_scale = span / exponent.range;
  panel.inverse_span = 1.0f / span;
  moments(
      group, sizes.cells, terms,
      [&](int j, float& weight, float& value, float& s) {
        const float key = rows.key[j] - key_middle;
        weight = key_weight(key, panel.query_centre, key_half);
        value = rows.value[j] - value_middle;
        s = (key - panel.key_centre) * panel.inverse_span;
      },
      [&](int m, float sum, float next, float with_value, float next_with_value) {
        const float c = exponent.coefficients[m];
        const float weight = c * sum;
        slot.series[m][0] = weight;
        slot.series[m][1] = c * with_value;
        slot.series[m][2] = c * next * span;  // range / query_scale = span
        slot.series[m][3] = c * next_with_value * span;
        const float kappa = warp_combine(group.block, Add{}, group.lane() < terms ? absolute(weight) : 0.0f);
        if (leader) {
          slot.kappa = kappa;
          slot.terms = terms;
          plan.panel[index] = panel;
        }
      });
  // The scratch may be written again.
  group.sync();
}

/// The first kCount of a slot's polynomials at t.
template <int kCount>
MGRN_DEVICE void evaluate(const Slot& slot, float t, float (&values)[kCount]) {
  MGRN_UNROLL
  for (int k = 0; k < kCount; ++k) values[k] = 0.0f;
  MGRN_UNROLL_BY_TWO
  for (int m = slot.terms - 1; m >= 0; --m) {
    const Four term = four(slot.series[m]);
    MGRN_UNROLL
    for (int k = 0; k < kCount; ++k) values[k] = fma(values[k], t, term.at[k]);
  }
}

/// Evaluates the series of those of a head's panels that lie in slots, panel `first` in the first of them,
/// for the queries in them. Called by all threads of the block.
template <typename Block>
MGRN_DEVICE void evaluate_panels(const Block& block, const Sizes& sizes, const HeadRows& rows,
                                 const HeadPlan& plan, int first, const Slot* slots, Trial& trial) {
  const int panels = plan.panels;
  MGRN_NO_UNROLL
  for (int i = block.thread(); i < sizes.cells; i += block.threads()) {
    const float q = rows.query[i];
    const int p = panels > 1 ? panel_of(plan, panels, q) : 0;
    if (p < first || p >= first + kSlots) continue;
    const Panel& panel = plan.panel[p];
    if (panel.polynomial < 0) continue;
    const Slot& slot = slots[p - first];
    const float t = (q - panel.query_centre) * panel.inverse_scale;
    float sums[4];  // of weights, and of weights times value, key, and key and value
    evaluate(slot, t, sums);
    const float z = sums[0];
    const float inverse = 1.0f / z;
    const float output = sums[1] * inverse;
    rows.mixed[i] = output;
    rows.slope[i] = (sums[3] - output * sums[2]) * inverse;
    rows.inverse_total[i] = inverse;
    // All who find it write the same.
    if (!(z > 0.0f && slot.kappa <= kLargestKappa * z)) trial.failed = 1;
  }
}

// Sums over keys are closed after so many: rounding then grows with the square root of N, not with N.
inline constexpr int kChunk = 32;

template <typename Block>
MGRN_DEVICE void quadratic_forward(const Block& block, const Sizes& sizes, const HeadRows& rows,
                                   const HeadPlan& plan) {
  MGRN_NO_UNROLL
  for (int i = block.thread(); i < sizes.cells; i += block.threads()) {
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

/// So many panels are to be tried; with more than there can be, the head becomes quadratic.
MGRN_DEVICE void try_panels(int panels, HeadPlan& plan, Trial& trial) {
  trial.failed = 0;
  trial.pending = panels <= kPanels ? 1 : 0;
  plan.panels = trial.pending != 0 ? panels : 0;
  plan.inverse_panel_width = plan.panels > 1 ? static_cast<float>(plan.panels) / trial.width : 0.0f;
}

/// A head's ranges, and the number of panels to try first. One group.
template <typename Block>
MGRN_DEVICE void begin_head(const Group<Block>& group, const Sizes& sizes, const HeadRows& rows,
                            HeadPlan& plan, Trial& trial) {
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
  if (group.thread != 0) return;
  plan.key_middle = 0.5f * (extremes[2] - extremes[3]);
  plan.value_middle = 0.5f * (extremes[4] - extremes[5]);
  // Not (high - low)/2: the half range must bound the rounded, centred keys.
  plan.key_half = larger(extremes[2] - plan.key_middle, plan.key_middle + extremes[3]);
  plan.query_low = -extremes[1];
  trial.width = extremes[0] - plan.query_low;
  const float range = 0.5f * trial.width * plan.key_half;
  // NaN is in no range.
  const bool in_range = range < 3.4f * kPanels;
  try_panels(!in_range ? kPanels + 1 : range <= 6.0f ? 1 : static_cast<int>(range * 0.3f) + 1, plan, trial);
}

/// What follows from a trial: it was good, or half as many panels more are tried.
MGRN_DEVICE void conclude(HeadPlan& plan, Trial& trial) {
  if (trial.failed != 0) {
    try_panels(plan.panels + (plan.panels + 1) / 2, plan, trial);
  } else {
    trial.pending = 0;
  }
}

struct Place {
  int head, panel;
};

/// Of one panel among those of all heads, one head after another. panels_of(head): their number.
template <typename PanelsOf>
MGRN_DEVICE Place place_of(int item, const PanelsOf& panels_of) {
  int head = 0;
  for (int panels = panels_of(0); item >= panels; panels = panels_of(++head)) item -= panels;
  return {head, item};
}

/// All heads of a layer, by all threads of the block: groups share out the panels of all heads, then each
/// thread evaluates its cells. rows_of(head): HeadRows. Leaves the plans in the room. Begins and ends with
/// all threads together.
template <int kWidth, typename Block, typename RowsOf>
MGRN_DEVICE void attention_forward(Block& block, const Group<Block>& group, const Sizes& sizes,
                                   const Polynomial* polynomials, const RowsOf& rows_of,
                                   AttentionRoom<kWidth>& room) {
  MGRN_NO_UNROLL
  for (int head = group.index; head < kWidth; head += sizes.groups) {
    begin_head(group, sizes, rows_of(head), room.plans[head], room.trials[head]);
  }
  block.sync();
  const auto panels_to_try = [&](int head) {
    return room.trials[head].pending != 0 ? room.plans[head].panels : 0;
  };
  while (true) {
    int items = 0;
    for (int head = 0; head < kWidth; ++head) items += panels_to_try(head);
    if (items == 0) break;
    MGRN_NO_UNROLL
    for (int begin = 0; begin < items; begin += kSlots) {
      const int end = begin + kSlots < items ? begin + kSlots : items;
      MGRN_NO_UNROLL
      for (int item = begin + group.index; item < end; item += sizes.groups) {
        const auto [head, panel] = place_of(item, panels_to_try);
        expand_panel(group, sizes, polynomials, rows_of(head), room.plans[head], panel, room.trials[head],
                     room.slots[item - begin]);
      }
      block.sync();
      int before = 0;
      MGRN_NO_UNROLL
      for (int head = 0; head < kWidth; ++head) {
        const int panels = panels_to_try(head);
        if (panels > 0 && before < end && before + panels > begin) {
          // Panel `begin - before` would lie in the first slot.
          evaluate_panels(block, sizes, rows_of(head), room.plans[head], begin - before, room.slots,
                          room.trials[head]);
        }
        before += panels;
      }
      block.sync();
    }
    if (block.thread() < kWidth && room.trials[block.thread()].pending != 0) {
      conclude(room.plans[block.thread()], room.trials[block.thread()]);
    }
    block.sync();
  }
  MGRN_NO_UNROLL
  for (int head = 0; head < kWidth; ++head) {
    if (room.plans[head].panels == 0) quadratic_forward(block, sizes, rows_of(head), room.plans[head]);
  }
  block.sync();
}

/// What a head's way back reads and writes, [cells] each. query, mixed and gradient lie where sums over
/// queries read them fastest; key_gradient and value_gradient may be the same memory as query and mixed, of
/// which stored_query and stored_mixed are copies.
struct HeadRowsBack {
  const float *query, *mixed, *weight;  ///< weight: the output's gradient / Z
  const float *stored_query, *stored_mixed, *key, *value;
  float *key_gradient, *value_gradient;
};

template <typename Block>
MGRN_DEVICE void quadratic_backward(const Block& block, const Sizes& sizes, const HeadRowsBack& rows,
                                    const HeadPlan& plan) {
  MGRN_NO_UNROLL
  for (int j = block.thread(); j < sizes.cells; j += block.threads()) {
    const float key = rows.key[j] - plan.key_middle;
    const float value = rows.value[j] - plan.value_middle;
    float dk = 0.0f, dv = 0.0f;
    MGRN_NO_UNROLL
    for (int begin = 0; begin < sizes.cells; begin += kChunk) {
      const int end = begin + kChunk < sizes.cells ? begin + kChunk : sizes.cells;
      float pk = 0.0f, pv = 0.0f;
      MGRN_NO_UNROLL
      for (int i = begin; i < end; ++i) {
        const float q = rows.stored_query[i];
        const float e = exponential(fma(q, key, -absolute(q) * plan.key_half));
        const float x = rows.weight[i];
        pv = fma(e, x, pv);
        pk = fma(e * (x * q), value - rows.stored_mixed[i], pk);
      }
      dk += pk;
      dv += pv;
    }
    rows.key_gradient[j] = dk;
    rows.value_gradient[j] = dv;
  }
}

/// The series of one panel's sums over its queries.
template <typename Block>
MGRN_DEVICE void expand_panel_back(const Group<Block>& group, const Sizes& sizes,
                                   const Polynomial* polynomials, const float* query, const float* mixed,
                                   const float* weight_of, const HeadPlan& plan, int index, Slot& slot) {
  const Panel& panel = plan.panel[index];
  if (panel.polynomial < 0) return;
  const int panels = plan.panels;
  const float query_centre = panel.query_centre, inverse_scale = panel.inverse_scale;
  const Polynomial& exponent = polynomials[panel.polynomial];
  const int terms = exponent.terms;
  moments(
      group, sizes.cells, terms,
      [&](int i, float& weight, float& value, float& t) {
        const float q = query[i];
        const bool member = panels == 1 || panel_of(plan, panels, q) == index;
        weight = member ? weight_of[i] : 0.0f;
        value = member ? mixed[i] : 0.0f;
        t = member ? (q - query_centre) * inverse_scale : 0.0f;
      },
      [&](int m, float sum, float next, float with_mixed, float next_with_mixed) {
        const float c = exponent.coefficients[m];
        slot.series[m][0] = c * sum;
        slot.series[m][1] = c * (panel.query_centre * sum + panel.query_scale * next);
        slot.series[m][2] = -c * (panel.query_centre * with_mixed + panel.query_scale * next_with_mixed);
        slot.series[m][3] = 0.0f;
        if (group.thread == 0) slot.terms = terms;
      });
  // The scratch may be written again.
  group.sync();
}

/// Adds what panels first..last-1, whose series lie in slots, give to the gradients of the head's keys and
/// values.
template <typename Block>
MGRN_DEVICE void apply_panels(const Block& block, const Sizes& sizes, const HeadRowsBack& rows,
                              const HeadPlan& plan, int first, int last, const Slot* slots) {
  MGRN_NO_UNROLL
  for (int j = block.thread(); j < sizes.cells; j += block.threads()) {
    const float key = rows.key[j] - plan.key_middle;
    const float value = rows.value[j] - plan.value_middle;
    float dk = 0.0f, dv = 0.0f;
    if (first > 0) {
      dk = rows.key_gradient[j];
      dv = rows.value_gradient[j];
    }
    MGRN_NO_UNROLL
    for (int p = first; p < last; ++p) {
      const Panel& panel = plan.panel[p];
      if (panel.polynomial < 0) continue;
      const Slot& slot = slots[p - first];
      const float weight = key_weight(key, panel.query_centre, plan.key_half);
      const float s = (key - panel.key_centre) * panel.inverse_span;
      float sums[3];  // of the value's gradient, and of the key's by value and without
      evaluate(slot, s, sums);
      dv = fma(weight, sums[0], dv);
      dk = fma(weight, fma(value, sums[1], sums[2]), dk);
    }
    rows.key_gradient[j] = dk;
    rows.value_gradient[j] = dv;
  }
}

/// Gradients of keys and values of all heads, by all threads of the block; the query's is gradient * slope.
/// rows_of(head): HeadRowsBack. Begins and ends with all threads together.
template <int kWidth, typename Block, typename RowsOf>
MGRN_DEVICE void attention_backward(Block& block, const Group<Block>& group, const Sizes& sizes,
                                    const Polynomial* polynomials, const RowsOf& rows_of,
                                    AttentionRoom<kWidth>& room) {
  const auto panels_of = [&](int head) { return room.plans[head].panels; };
  int items = 0;
  for (int head = 0; head < kWidth; ++head) items += panels_of(head);
  MGRN_NO_UNROLL
  for (int begin = 0; begin < items; begin += kSlots) {
    const int end = begin + kSlots < items ? begin + kSlots : items;
    MGRN_NO_UNROLL
    for (int item = begin + group.index; item < end; item += sizes.groups) {
      const auto [head, panel] = place_of(item, panels_of);
      const HeadRowsBack rows = rows_of(head);
      // What follows the first slots has overwritten the nearer copies.
      expand_panel_back(group, sizes, polynomials, begin == 0 ? rows.query : rows.stored_query,
                        begin == 0 ? rows.mixed : rows.stored_mixed, rows.weight, room.plans[head], panel,
                        room.slots[item - begin]);
    }
    block.sync();
    int before = 0;
    MGRN_NO_UNROLL
    for (int head = 0; head < kWidth; ++head) {
      const HeadPlan& plan = room.plans[head];
      const int first = before > begin ? 0 : begin - before;
      const int last = end - before < plan.panels ? end - before : plan.panels;
      if (first < last) {
        apply_panels(block, sizes, rows_of(head), plan, first, last, room.slots + (before + first - begin));
      }
      before += plan.panels;
    }
    block.sync();
  }
  MGRN_NO_UNROLL
  for (int head = 0; head < kWidth; ++head) {
    if (room.plans[head].panels == 0) quadratic_backward(block, sizes, rows_of(head), room.plans[head]);
  }
  block.sync();
}

}  // namespace mgrn::model::cuda
