// SPDX-License-Identifier: Apache-2.0
// Softmax attention in ATen operations, for any device: the algorithm of cpu/attention_moments.hpp, batched
// over samples and heads, with gradients written by hand. Moments are batched products of powers; no N x N
// matrix is formed for any head.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace mgrn::model::tensor {

/// Heads that share a number of panels: a panel is a range of a head's queries with one expansion point.
/// h heads, P panels, M terms, N cells.
struct PanelBatch {
  at::Tensor heads;         ///< [h], int64: rows of the inputs
  at::Tensor centre;        ///< [h, P]: of the panel's queries
  at::Tensor scale;         ///< [h, P]: t = (q - centre) / scale
  at::Tensor key_centre;    ///< [h, P]
  at::Tensor inverse_span;  ///< [h, P]: s = (k - key_centre) * inverse_span
  at::Tensor coefficients;  ///< [h, P, M]
  at::Tensor members;       ///< [h, P, N], bool: which queries are the panel's; undefined for P = 1
};

/// What attention's forward pass leaves for its way back.
struct AttentionState {
  at::Tensor query, keys, values;  ///< of G heads; for heads of one column keys and values are centred
  at::Tensor key_half;             ///< [G, 1]
  at::Tensor mixed;                ///< output; for heads of one column less the middle value
  at::Tensor slope;                ///< d output / d query
  at::Tensor inverse_total;        ///< 1 / sum of a row's exponentials
  std::vector<PanelBatch> batches;
  at::Tensor quadratic;  ///< [g], int64: heads that no polynomial serves; undefined where there are none
  at::Tensor row_max;    ///< heads of several columns only
};

struct QkvGradient {
  at::Tensor query, key, value;
};

/// Heads of one column: query, key, value are [G, N]. Linear in N but for heads whose scores range too far,
/// which take N^2 time in pieces of a bounded number of scores.
class ScalarAttention {
 public:
  explicit ScalarAttention(at::Device device);
  at::Tensor forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                     AttentionState& state) const;

 private:
  /// Adds a batch of those heads for which the method's conditions hold; returns the others.
  std::vector<std::int64_t> evaluate(const std::vector<std::int64_t>& heads, std::int64_t panels,
                                     const at::Tensor& low, const at::Tensor& high,
                                     AttentionState& state) const;

  at::Tensor ranges_;        // [polynomials], ascending
  at::Tensor terms_;         // [polynomials], int64
  at::Tensor coefficients_;  // [polynomials, most terms], zero behind the last
};

/// The way back of ScalarAttention::forward, which left all that it needs.
QkvGradient scalar_backward(const AttentionState& state, const at::Tensor& gradient);

/// Heads of any width, in N^2 time and pieces of a bounded number of scores: query, key, value [G, N, width],
/// query scaled.
at::Tensor wide_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                        AttentionState& state);
QkvGradient wide_backward(const AttentionState& state, const at::Tensor& gradient);

}  // namespace mgrn::model::tensor
