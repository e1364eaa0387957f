// SPDX-License-Identifier: Apache-2.0
// Softmax attention in N^2 time and N memory: exponentials are recomputed backward, and never more than a
// vector of them exists. Always right, whatever the range of the scores.
//
// For scalar heads the row maximum is known beforehand: with keys centred on the middle of their range,
// max_j q k_j = |q| (kmax - kmin)/2. Heads of more columns look for it in a pass of its own, which costs
// head_width multiply-adds per pair and no exponential.
#pragma once

#include "model/cpu/kernels.hpp"
#include "model/cpu/simd.hpp"
#include "model/cpu/simd_math.hpp"

namespace mgrn::model::cpu {
namespace {

// Sums over keys are closed after so many: rounding then grows with the square root of N, not with N.
constexpr int kKeyChunk = 32;

/// Zeroes what padding lanes hold at the end of a row.
inline void clear_padding(float* row, const Dimensions& d) {
  for (int n = d.cells; n < d.padded; ++n) row[n] = 0.0f;
}

/// Scalar heads. keys, values: centred, [padded]. Writes o, d o / d q and 1 / Z.
inline void quadratic_forward(const Dimensions& d, const float* q, const float* keys, const float* values,
                              float key_half, float* mixed, float* slope, float* inverse_total) {
  for (int i = 0; i < d.padded; i += 2 * kLanes) {
    Vector query[2], top[2], z[2] = {}, a[2] = {}, zk[2] = {}, ak[2] = {};
    for (int u = 0; u < 2; ++u) {
      query[u] = load(q + i + u * kLanes);
      top[u] = absolute(query[u]) * -key_half;
    }
    for (int begin = 0; begin < d.cells; begin += kKeyChunk) {
      const int end = begin + kKeyChunk < d.cells ? begin + kKeyChunk : d.cells;
      Vector pz[2] = {}, pa[2] = {}, pzk[2] = {}, pak[2] = {};
      for (int j = begin; j < end; ++j) {
        const Vector key = splat(keys[j]);
        const Vector value = splat(values[j]);
#pragma GCC unroll 2
        for (int u = 0; u < 2; ++u) {
          const Vector e = exponential(fma(query[u], key, top[u]));
          const Vector ek = e * key;
          pz[u] += e;
          pa[u] = fma(e, value, pa[u]);
          pzk[u] += ek;
          pak[u] = fma(ek, value, pak[u]);
        }
      }
      for (int u = 0; u < 2; ++u) {
        z[u] += pz[u];
        a[u] += pa[u];
        zk[u] += pzk[u];
        ak[u] += pak[u];
      }
    }
    for (int u = 0; u < 2; ++u) {
      const Vector inverse = 1.0f / z[u];
      const Vector output = a[u] * inverse;
      store(mixed + i + u * kLanes, output);
      store(slope + i + u * kLanes, (ak[u] - output * zk[u]) * inverse);
      store(inverse_total + i + u * kLanes, inverse);
    }
  }
}

/// Scalar heads: gradients of keys and values. `weights` = g / Z and `rows` are work space of [padded].
inline void quadratic_backward(const Dimensions& d, const float* q, const float* keys, const float* values,
                               float key_half, const float* mixed, const float* inverse_total,
                               const float* gradient, float* rows, float* key_gradient,
                               float* value_gradient) {
  float* x = rows;
  float* xq = rows + d.padded;
  float* top = rows + 2 * d.padded;
  for (int i = 0; i < d.padded; i += kLanes) {
    const Vector query = load(q + i);
    const Vector weight = load(gradient + i) * load(inverse_total + i);
    store(x + i, weight);
    store(xq + i, weight * query);
    store(top + i, absolute(query) * -key_half);
  }
  for (int j = 0; j < d.padded; j += 2 * kLanes) {
    Vector key[2], value[2], dk[2] = {}, dv[2] = {};
    for (int u = 0; u < 2; ++u) {
      key[u] = load(keys + j + u * kLanes);
      value[u] = load(values + j + u * kLanes);
    }
    for (int begin = 0; begin < d.cells; begin += kKeyChunk) {
      const int end = begin + kKeyChunk < d.cells ? begin + kKeyChunk : d.cells;
      Vector pk[2] = {}, pv[2] = {};
      for (int i = begin; i < end; ++i) {
        const Vector query = splat(q[i]);
        const Vector maximum = splat(top[i]);
        const Vector weight = splat(x[i]);
        const Vector weight_query = splat(xq[i]);
        const Vector output = splat(mixed[i]);
#pragma GCC unroll 2
        for (int u = 0; u < 2; ++u) {
          const Vector e = exponential(fma(query, key[u], maximum));
          pv[u] = fma(e, weight, pv[u]);
          pk[u] = fma(e * weight_query, value[u] - output, pk[u]);
        }
      }
      for (int u = 0; u < 2; ++u) {
        dk[u] += pk[u];
        dv[u] += pv[u];
      }
    }
    for (int u = 0; u < 2; ++u) {
      store(key_gradient + j + u * kLanes, dk[u]);
      store(value_gradient + j + u * kLanes, dv[u]);
    }
  }
  clear_padding(key_gradient, d);
  clear_padding(value_gradient, d);
}

// A head's width as a constant where it is a common one; 0 reads it from the dimensions.
template <int kWidth>
inline int head_columns(const Dimensions& d) {
  return kWidth > 0 ? kWidth : d.head_width;
}
template <int kWidth>
constexpr int kColumnRoom = kWidth > 0 ? kWidth : 64;

/// Heads of several columns. q, k, v, mixed: [head_width][padded] of one head, q scaled.
template <int kWidth>
inline void quadratic_forward_wide(const Dimensions& d, const float* q, const float* k, const float* v,
                                   float* mixed, float* inverse_total, float* row_max) {
  const int width = head_columns<kWidth>(d);
  for (int i = 0; i < d.padded; i += kLanes) {
    Vector query[kColumnRoom<kWidth>], total[kColumnRoom<kWidth>];
    for (int c = 0; c < width; ++c) {
      query[c] = load(q + c * d.padded + i);
      total[c] = Vector{};
    }
    Vector maximum = splat(-__builtin_inff());
    for (int j = 0; j < d.cells; ++j) {
      Vector score = query[0] * k[j];
      for (int c = 1; c < width; ++c) score = fma(query[c], splat(k[c * d.padded + j]), score);
      maximum = at_least(score, maximum);
    }
    Vector z{};
    for (int begin = 0; begin < d.cells; begin += kKeyChunk) {
      const int end = begin + kKeyChunk < d.cells ? begin + kKeyChunk : d.cells;
      Vector pz{};
      Vector part[kColumnRoom<kWidth>];
      for (int c = 0; c < width; ++c) part[c] = Vector{};
      for (int j = begin; j < end; ++j) {
        Vector score = query[0] * k[j];
        for (int c = 1; c < width; ++c) score = fma(query[c], splat(k[c * d.padded + j]), score);
        const Vector e = exponential(score - maximum);
        pz += e;
        for (int c = 0; c < width; ++c) part[c] = fma(e, splat(v[c * d.padded + j]), part[c]);
      }
      z += pz;
      for (int c = 0; c < width; ++c) total[c] += part[c];
    }
    const Vector inverse = 1.0f / z;
    for (int c = 0; c < width; ++c) store(mixed + c * d.padded + i, total[c] * inverse);
    store(inverse_total + i, inverse);
    store(row_max + i, maximum);
  }
}

/// Heads of several columns: gradients of scaled queries, keys and values. `rows`: [padded] of work space.
template <int kWidth>
inline void quadratic_backward_wide(const Dimensions& d, const float* q, const float* k, const float* v,
                                    const float* mixed, const float* inverse_total, const float* row_max,
                                    const float* gradient, float* rows, float* dq, float* dk, float* dv) {
  const int width = head_columns<kWidth>(d);
  float* along = rows;  // sum_c g_ic o_ic
  for (int i = 0; i < d.padded; i += kLanes) {
    Vector query[kColumnRoom<kWidth>], g[kColumnRoom<kWidth>], total[kColumnRoom<kWidth>];
    Vector dot{};
    for (int c = 0; c < width; ++c) {
      query[c] = load(q + c * d.padded + i);
      g[c] = load(gradient + c * d.padded + i);
      dot = fma(g[c], load(mixed + c * d.padded + i), dot);
      total[c] = Vector{};
    }
    store(along + i, dot);
    const Vector maximum = load(row_max + i);
    for (int j = 0; j < d.cells; ++j) {
      Vector score = query[0] * k[j];
      Vector change = fma(g[0], splat(v[j]), -dot);
      for (int c = 1; c < width; ++c) {
        score = fma(query[c], splat(k[c * d.padded + j]), score);
        change = fma(g[c], splat(v[c * d.padded + j]), change);
      }
      const Vector ds = exponential(score - maximum) * change;
      for (int c = 0; c < width; ++c) total[c] = fma(ds, splat(k[c * d.padded + j]), total[c]);
    }
    const Vector inverse = load(inverse_total + i);
    for (int c = 0; c < width; ++c) store(dq + c * d.padded + i, total[c] * inverse);
  }
  for (int j = 0; j < d.padded; j += kLanes) {
    Vector key[kColumnRoom<kWidth>], value[kColumnRoom<kWidth>];
    Vector key_total[kColumnRoom<kWidth>], value_total[kColumnRoom<kWidth>];
    for (int c = 0; c < width; ++c) {
      key[c] = load(k + c * d.padded + j);
      value[c] = load(v + c * d.padded + j);
      key_total[c] = value_total[c] = Vector{};
    }
    for (int i = 0; i < d.cells; ++i) {
      Vector score = key[0] * q[i];
      Vector change = fma(value[0], splat(gradient[i]), splat(-along[i]));
      for (int c = 1; c < width; ++c) {
        score = fma(key[c], splat(q[c * d.padded + i]), score);
        change = fma(value[c], splat(gradient[c * d.padded + i]), change);
      }
      const Vector p = exponential(score - row_max[i]) * inverse_total[i];
      const Vector ds = p * change;
      for (int c = 0; c < width; ++c) {
        value_total[c] = fma(p, splat(gradient[c * d.padded + i]), value_total[c]);
        key_total[c] = fma(ds, splat(q[c * d.padded + i]), key_total[c]);
      }
    }
    for (int c = 0; c < width; ++c) {
      store(dk + c * d.padded + j, key_total[c]);
      store(dv + c * d.padded + j, value_total[c]);
    }
  }
  for (int c = 0; c < width; ++c) {
    clear_padding(dq + c * d.padded, d);
    clear_padding(dk + c * d.padded, d);
    clear_padding(dv + c * d.padded, d);
  }
}

}  // namespace
}  // namespace mgrn::model::cpu
