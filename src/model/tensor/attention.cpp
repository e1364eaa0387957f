// SPDX-License-Identifier: Apache-2.0
#include "model/tensor/attention.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <limits>

#include "model/cpu/exponential_polynomials.hpp"

namespace mgrn::model::tensor {
namespace {

constexpr double kLargestKappa = 16.0;
// Numbers of panels: a head starts at the least that its range asks for and climbs where a check fails. A
// common number lets heads share one product and sum over panels in a fixed order.
constexpr std::array<std::int64_t, 10> kPanels{1, 2, 3, 4, 6, 8, 12, 16, 24, 32};
constexpr double kRangePerPanel = 3.4;
// Most elements of one tensor of powers or scores: 64 MiB.
constexpr std::int64_t kMostElements = std::int64_t{1} << 24;

/// [batch, count, N]: x^0 .. x^(count-1) of x [batch, N], by doubling.
at::Tensor powers(const at::Tensor& x, std::int64_t count) {
  at::Tensor result = at::empty({x.size(0), count, x.size(1)}, x.options());
  result.select(1, 0).fill_(1.0);
  if (count > 1) result.select(1, 1).copy_(x);
  for (std::int64_t have = 2; have < count; have *= 2) {
    const std::int64_t more = std::min(have, count - have);
    const at::Tensor factor = (result.select(1, have - 1) * x).unsqueeze(1);
    at::Tensor target = result.narrow(1, have, more);
    at::mul_out(target, result.narrow(1, 0, more), factor);
  }
  return result;
}

/// [batch, N, terms] . [batch, terms, series], from powers [batch, terms, N].
at::Tensor evaluate_series(const at::Tensor& power, const at::Tensor& terms) {
  return at::bmm(power.transpose(1, 2), terms);
}

at::Tensor to_device(const std::vector<std::int64_t>& values, at::Device device) {
  return at::tensor(values, at::kLong).to(device);
}

std::vector<bool> to_host(const at::Tensor& flags) {
  const at::Tensor here = flags.to(at::kCPU).contiguous();
  // Not braced: a list of two pointers is a list of two truths.
  std::vector<bool> values(here.data_ptr<bool>(), here.data_ptr<bool>() + here.numel());
  return values;
}

/// Weights e^(centre k - |centre| key_half) <= 1 of the keys [h, 1, N] for each panel: [h, P, N].
at::Tensor key_weights(const at::Tensor& keys, const at::Tensor& centre, const at::Tensor& key_half) {
  return (centre.unsqueeze(2) * keys - (centre.abs() * key_half).unsqueeze(2)).exp();
}

at::Tensor only_members(const PanelBatch& batch, const at::Tensor& x) {
  return batch.members.defined() ? at::where(batch.members, x, 0.0) : x;
}

at::Tensor scaled_queries(const PanelBatch& batch, const at::Tensor& query) {
  const at::Tensor t = (query - batch.centre.unsqueeze(2)) / batch.scale.unsqueeze(2);
  // Other panels' queries are far out; what comes of them is masked, and must be finite.
  return batch.members.defined() ? t.clamp(-1.0, 1.0) : t;
}

/// Pieces of rows such that rows * per_row stays bounded.
template <typename Work>
void in_pieces(std::int64_t rows, std::int64_t per_row, const Work& work) {
  const std::int64_t piece = std::max<std::int64_t>(1, kMostElements / std::max<std::int64_t>(1, per_row));
  for (std::int64_t first = 0; first < rows; first += piece) work(first, std::min(piece, rows - first));
}

/// For each piece of heads and of queries, work(first head, heads, first query, queries): heads * queries *
/// cells is bounded, and no piece holds all queries of a head unless N is small.
template <typename Work>
void score_pieces(std::int64_t heads, std::int64_t cells, const Work& work) {
  const std::int64_t queries = std::min<std::int64_t>(cells, 64);
  in_pieces(heads, queries * cells, [&](std::int64_t head, std::int64_t count) {
    for (std::int64_t i = 0; i < cells; i += queries) work(head, count, i, std::min(queries, cells - i));
  });
}

/// Scalar heads: e^(q k - |q| key_half) of a piece, [heads, queries, N].
at::Tensor scalar_scores(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& key_half) {
  const at::Tensor q = query.unsqueeze(2);
  return (q * keys.unsqueeze(1) - q.abs() * key_half.unsqueeze(2)).exp();
}

void quadratic_forward(AttentionState& state) {
  const at::Tensor query = state.query.index_select(0, state.quadratic);
  const at::Tensor keys = state.keys.index_select(0, state.quadratic);
  const at::Tensor values = state.values.index_select(0, state.quadratic);
  const at::Tensor half = state.key_half.index_select(0, state.quadratic);
  at::Tensor output = at::empty(query.sizes(), query.options());
  at::Tensor slope = at::empty(query.sizes(), query.options());
  at::Tensor inverse_total = at::empty(query.sizes(), query.options());
  const at::Tensor columns =
      at::stack({at::zeros_like(keys).fill_(1.0), values, keys, keys * values}, 2);  // [h, N, 4]
  score_pieces(query.size(0), query.size(1),
               [&](std::int64_t head, std::int64_t heads, std::int64_t i, std::int64_t queries) {
                 const auto piece = [&](const at::Tensor& x) {
                   return x.narrow(0, head, heads).narrow(1, i, queries);
                 };
                 const at::Tensor e =
                     scalar_scores(piece(query), keys.narrow(0, head, heads), half.narrow(0, head, heads));
                 const at::Tensor sums = at::bmm(e, columns.narrow(0, head, heads));
                 const at::Tensor inverse = sums.select(2, 0).reciprocal();
                 const at::Tensor o = sums.select(2, 1) * inverse;
                 piece(output).copy_(o);
                 piece(slope).copy_((sums.select(2, 3) - o * sums.select(2, 2)) * inverse);
                 piece(inverse_total).copy_(inverse);
               });
  state.mixed.index_copy_(0, state.quadratic, output);
  state.slope.index_copy_(0, state.quadratic, slope);
  state.inverse_total.index_copy_(0, state.quadratic, inverse_total);
}

void quadratic_backward(const AttentionState& state, const at::Tensor& x, QkvGradient& result) {
  const at::Tensor query = state.query.index_select(0, state.quadratic);
  const at::Tensor keys = state.keys.index_select(0, state.quadratic);
  const at::Tensor values = state.values.index_select(0, state.quadratic);
  const at::Tensor half = state.key_half.index_select(0, state.quadratic);
  const at::Tensor weight = x.index_select(0, state.quadratic);
  const at::Tensor weight_query = weight * query;
  const at::Tensor columns = at::stack(
      {weight, weight_query, weight_query * state.mixed.index_select(0, state.quadratic)}, 2);  // [h, N, 3]
  at::Tensor sums = at::zeros({query.size(0), query.size(1), 3}, query.options());
  score_pieces(query.size(0), query.size(1),
               [&](std::int64_t head, std::int64_t heads, std::int64_t i, std::int64_t queries) {
                 const at::Tensor e = scalar_scores(query.narrow(0, head, heads).narrow(1, i, queries),
                                                    keys.narrow(0, head, heads), half.narrow(0, head, heads));
                 sums.narrow(0, head, heads)
                     .add_(at::bmm(e.transpose(1, 2), columns.narrow(0, head, heads).narrow(1, i, queries)));
               });
  result.value.index_copy_(0, state.quadratic, sums.select(2, 0));
  result.key.index_copy_(0, state.quadratic, values * sums.select(2, 1) - sums.select(2, 2));
}

}  // namespace

ScalarAttention::ScalarAttention(at::Device device) {
  const auto table = cpu::exponential_polynomials();
  const auto count = static_cast<std::int64_t>(table.size());
  std::vector<float> ranges;
  std::vector<std::int64_t> terms;
  for (const auto& polynomial : table) {
    ranges.push_back(polynomial.range);
    terms.push_back(polynomial.terms);
  }
  at::Tensor coefficients = at::zeros({count, *std::ranges::max_element(terms)}, at::kFloat);
  for (std::int64_t p = 0; p < count; ++p) {
    for (std::int64_t m = 0; m < terms[static_cast<std::size_t>(p)]; ++m) {
      coefficients.data_ptr<float>()[p * coefficients.size(1) + m] =
          table[static_cast<std::size_t>(p)].coefficients[m];
    }
  }
  ranges_ = at::tensor(ranges, at::kFloat).to(device);
  terms_ = to_device(terms, device);
  coefficients_ = coefficients.to(device);
}

at::Tensor ScalarAttention::forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                    AttentionState& state) const {
  const at::Tensor low = query.amin(1, true);
  const at::Tensor high = query.amax(1, true);
  const at::Tensor key_low = key.amin(1, true);
  const at::Tensor key_high = key.amax(1, true);
  const at::Tensor key_middle = (key_low + key_high) * 0.5;
  const at::Tensor value_middle = (value.amin(1, true) + value.amax(1, true)) * 0.5;
  state = {};
  state.query = query;
  state.keys = key - key_middle;
  state.values = value - value_middle;
  state.key_half = at::maximum(key_high - key_middle, key_middle - key_low);
  state.mixed = at::empty(query.sizes(), query.options());
  state.slope = at::empty(query.sizes(), query.options());
  state.inverse_total = at::empty(query.sizes(), query.options());

  const at::Tensor range = ((high - low) * 0.5 * state.key_half).to(at::kCPU).contiguous();
  std::array<std::vector<std::int64_t>, kPanels.size() + 1> waiting;  // the last: quadratic
  for (std::int64_t head = 0; head < query.size(0); ++head) {
    const float r = range.data_ptr<float>()[head];
    std::size_t rung = kPanels.size();  // NaN stays here
    if (r < kRangePerPanel * static_cast<double>(kPanels.back())) {
      const std::int64_t least = r <= 6.0f ? 1 : static_cast<std::int64_t>(r * 0.3f) + 1;
      rung = static_cast<std::size_t>(std::ranges::lower_bound(kPanels, least) - kPanels.begin());
    }
    waiting[rung].push_back(head);
  }
  for (std::size_t rung = 0; rung < kPanels.size(); ++rung) {
    const std::vector<std::int64_t>& heads = waiting[rung];
    in_pieces(static_cast<std::int64_t>(heads.size()),
              kPanels[rung] * query.size(1) * (coefficients_.size(1) + 1),
              [&](std::int64_t first, std::int64_t count) {
                const std::vector<std::int64_t> piece(heads.begin() + first, heads.begin() + first + count);
                for (const std::int64_t head : evaluate(piece, kPanels[rung], low, high, state)) {
                  waiting[rung + 1].push_back(head);
                }
              });
  }
  if (!waiting.back().empty()) {
    state.quadratic = to_device(waiting.back(), query.device());
    quadratic_forward(state);
  }
  return state.mixed + value_middle;
}

std::vector<std::int64_t> ScalarAttention::evaluate(const std::vector<std::int64_t>& heads,
                                                    std::int64_t panels, const at::Tensor& low,
                                                    const at::Tensor& high, AttentionState& state) const {
  const at::Device device = low.device();
  const std::int64_t cells = state.query.size(1);
  const auto count = static_cast<std::int64_t>(heads.size());
  PanelBatch batch;
  batch.heads = to_device(heads, device);
  const at::Tensor query = state.query.index_select(0, batch.heads).unsqueeze(1);  // [h, 1, N]
  const at::Tensor keys = state.keys.index_select(0, batch.heads).unsqueeze(1);
  const at::Tensor values = state.values.index_select(0, batch.heads).unsqueeze(1);
  const at::Tensor key_half = state.key_half.index_select(0, batch.heads);  // [h, 1]
  const at::Tensor start = low.index_select(0, batch.heads);
  const at::Tensor width = (high.index_select(0, batch.heads) - start) / static_cast<double>(panels);
  const at::Tensor index = at::arange(panels, start.options());
  batch.centre = start + width * (index + 0.5);
  const at::Tensor half = (width * 0.5).expand({count, panels});
  at::Tensor empty;  // [h, P]
  if (panels > 1) {
    const at::Tensor place = ((query - start.unsqueeze(2)) / width.unsqueeze(2))
                                 .floor()
                                 .clamp(0.0, static_cast<double>(panels - 1));
    batch.members = place.eq(index.view({1, panels, 1}));
    empty = batch.members.any(2).logical_not();
  }

  const at::Tensor weight = key_weights(keys, batch.centre, key_half);  // [h, P, N]
  const at::Tensor mean = (weight * keys).sum(2) / weight.sum(2);
  batch.key_centre = at::where((half * key_half).gt(1.5), mean, 0.0);
  // Equal keys leave no span; any positive one then does, since every s is 0.
  const at::Tensor span = (key_half + batch.key_centre.abs()).clamp_min(1e-15);
  const at::Tensor found = at::searchsorted(ranges_, (half * span).contiguous());
  const at::Tensor polynomial = found.clamp_max(ranges_.size(0) - 1);
  const std::int64_t terms = terms_.index_select(0, polynomial.view({-1})).max().item<std::int64_t>();
  const at::Tensor range = ranges_.index_select(0, polynomial.view({-1})).view({count, panels});
  batch.scale = range / span;
  batch.inverse_span = span.reciprocal();
  batch.coefficients = coefficients_.index_select(0, polynomial.view({-1}))
                           .narrow(1, 0, terms)
                           .contiguous()
                           .view({count, panels, terms});

  const at::Tensor s = (keys - batch.key_centre.unsqueeze(2)) * batch.inverse_span.unsqueeze(2);
  const at::Tensor moments = at::bmm(powers(s.view({count * panels, cells}), terms + 1),
                                     at::stack({weight, weight * values}, 3).view({count * panels, cells, 2}))
                                 .view({count, panels, terms + 1, 2});
  // d/dq multiplies the kernel by the key, which shifts the moments by one: range / scale = span.
  const at::Tensor c = batch.coefficients.unsqueeze(3);
  const at::Tensor plain = c * moments.narrow(2, 0, terms);
  const at::Tensor shifted = c * moments.narrow(2, 1, terms) * span.view({count, panels, 1, 1});
  const at::Tensor series =
      at::stack({plain.select(3, 0), plain.select(3, 1), shifted.select(3, 0), shifted.select(3, 1)}, 3)
          .view({count * panels, terms, 4});
  const at::Tensor t = scaled_queries(batch, query);
  const at::Tensor sums = evaluate_series(powers(t.reshape({count * panels, cells}), terms), series)
                              .view({count, panels, cells, 4});
  const at::Tensor z = sums.select(3, 0);
  const at::Tensor kappa = plain.select(3, 0).abs().sum(2);
  const at::Tensor least =
      (panels > 1 ? at::where(batch.members, z, std::numeric_limits<double>::infinity()) : z).amin(2);
  at::Tensor good =
      least.gt(0.0).logical_and_(kappa.le(least * kLargestKappa)).logical_and_(found.lt(ranges_.size(0)));
  if (panels > 1) good = good.logical_or(empty);
  const std::vector<bool> accepted = to_host(good.all(1));

  const at::Tensor inverse = z.reciprocal();
  const at::Tensor output = sums.select(3, 1) * inverse;
  const at::Tensor slope = (sums.select(3, 3) - output * sums.select(3, 2)) * inverse;
  std::vector<std::int64_t> kept, rest;
  for (std::size_t i = 0; i < heads.size(); ++i) {
    if (accepted[i]) {
      kept.push_back(static_cast<std::int64_t>(i));
    } else {
      rest.push_back(heads[i]);
    }
  }
  if (kept.empty()) return rest;
  const auto store = [&](at::Tensor& target, const at::Tensor& value) {
    // At most one panel gives a query a value; what the others add is 0.
    at::Tensor rows = only_members(batch, value).sum(1);
    if (!rest.empty()) rows = rows.index_select(0, to_device(kept, device));
    target.index_copy_(0, rest.empty() ? batch.heads : batch.heads.index_select(0, to_device(kept, device)),
                       rows);
  };
  store(state.mixed, output);
  store(state.slope, slope);
  store(state.inverse_total, inverse);
  if (!rest.empty()) {
    const at::Tensor which = to_device(kept, device);
    for (at::Tensor* part : {&batch.heads, &batch.centre, &batch.scale, &batch.key_centre,
                             &batch.inverse_span, &batch.coefficients, &batch.members}) {
      if (part->defined()) *part = part->index_select(0, which);
    }
  }
  state.batches.push_back(std::move(batch));
  return rest;
}

QkvGradient scalar_backward(const AttentionState& state, const at::Tensor& gradient) {
  QkvGradient result{gradient * state.slope, at::empty(gradient.sizes(), gradient.options()),
                     at::empty(gradient.sizes(), gradient.options())};
  const at::Tensor x = gradient * state.inverse_total;
  const std::int64_t cells = gradient.size(1);
  for (const PanelBatch& batch : state.batches) {
    const std::int64_t heads = batch.centre.size(0);
    const std::int64_t panels = batch.centre.size(1);
    const std::int64_t terms = batch.coefficients.size(2);
    const auto rows = [&](const at::Tensor& all) { return all.index_select(0, batch.heads).unsqueeze(1); };
    const at::Tensor keys = rows(state.keys);
    const at::Tensor weight = only_members(batch, rows(x));
    const at::Tensor columns = at::stack({weight, weight * rows(state.mixed)}, 3);
    const at::Tensor t = scaled_queries(batch, rows(state.query));
    const at::Tensor moments = at::bmm(powers(t.reshape({heads * panels, cells}), terms + 1),
                                       columns.view({heads * panels, cells, 2}))
                                   .view({heads, panels, terms + 1, 2});
    const at::Tensor c = batch.coefficients.unsqueeze(3);
    const at::Tensor low = moments.narrow(2, 0, terms);
    // The kernel's slope by the key is its product with the query: centre + scale t.
    const at::Tensor by_query = c * (batch.centre.view({heads, panels, 1, 1}) * low +
                                     batch.scale.view({heads, panels, 1, 1}) * moments.narrow(2, 1, terms));
    const at::Tensor series =
        at::stack({(c * low).select(3, 0), by_query.select(3, 0), by_query.select(3, 1)}, 3)
            .view({heads * panels, terms, 3});
    const at::Tensor s = (keys - batch.key_centre.unsqueeze(2)) * batch.inverse_span.unsqueeze(2);
    const at::Tensor sums = evaluate_series(powers(s.view({heads * panels, cells}), terms), series)
                                .view({heads, panels, cells, 3});
    const at::Tensor key_weight =
        key_weights(keys, batch.centre, state.key_half.index_select(0, batch.heads));
    result.value.index_copy_(0, batch.heads, (key_weight * sums.select(3, 0)).sum(1));
    result.key.index_copy_(
        0, batch.heads, (key_weight * (rows(state.values) * sums.select(3, 1) - sums.select(3, 2))).sum(1));
  }
  if (state.quadratic.defined()) quadratic_backward(state, x, result);
  return result;
}

at::Tensor wide_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                        AttentionState& state) {
  state = {};
  state.query = query;
  state.keys = key;
  state.values = value;
  state.mixed = at::empty(value.sizes(), value.options());
  state.row_max = at::empty({query.size(0), query.size(1), 1}, query.options());
  state.inverse_total = at::empty({query.size(0), query.size(1), 1}, query.options());
  score_pieces(query.size(0), query.size(1),
               [&](std::int64_t head, std::int64_t heads, std::int64_t i, std::int64_t queries) {
                 const auto piece = [&](const at::Tensor& x) {
                   return x.narrow(0, head, heads).narrow(1, i, queries);
                 };
                 const at::Tensor scores = at::bmm(piece(query), key.narrow(0, head, heads).transpose(1, 2));
                 const at::Tensor top = scores.amax(2, true);
                 const at::Tensor e = (scores - top).exp();
                 const at::Tensor inverse = e.sum(2, true).reciprocal();
                 piece(state.mixed).copy_(at::bmm(e, value.narrow(0, head, heads)) * inverse);
                 piece(state.row_max).copy_(top);
                 piece(state.inverse_total).copy_(inverse);
               });
  return state.mixed;
}

QkvGradient wide_backward(const AttentionState& state, const at::Tensor& gradient) {
  QkvGradient result{at::zeros_like(state.query), at::zeros_like(state.keys), at::zeros_like(state.values)};
  const at::Tensor along = (gradient * state.mixed).sum(2, true);
  score_pieces(gradient.size(0), gradient.size(1),
               [&](std::int64_t head, std::int64_t heads, std::int64_t i, std::int64_t queries) {
                 const auto piece = [&](const at::Tensor& x) {
                   return x.narrow(0, head, heads).narrow(1, i, queries);
                 };
                 const auto whole = [&](const at::Tensor& x) { return x.narrow(0, head, heads); };
                 const at::Tensor q = piece(state.query);
                 const at::Tensor g = piece(gradient);
                 const at::Tensor p =
                     (at::bmm(q, whole(state.keys).transpose(1, 2)) - piece(state.row_max)).exp() *
                     piece(state.inverse_total);
                 const at::Tensor ds = p * (at::bmm(g, whole(state.values).transpose(1, 2)) - piece(along));
                 piece(result.query).copy_(at::bmm(ds, whole(state.keys)));
                 whole(result.key).add_(at::bmm(ds.transpose(1, 2), q));
                 whole(result.value).add_(at::bmm(p.transpose(1, 2), g));
               });
  return result;
}

}  // namespace mgrn::model::tensor
