// SPDX-License-Identifier: Apache-2.0
// Small dense operations on a tile of cells: the cells lie along the lanes, so nothing here depends on the
// width being a multiple of anything. Everything is inlined into the encoder, which passes the usual width as
// a constant; loops over columns then unroll.
#pragma once

#include "model/cpu/kernels.hpp"
#include "model/cpu/simd.hpp"
#include "model/cpu/simd_math.hpp"

namespace mgrn::model::cpu {
namespace {

constexpr int kVectors = kTokenBlock / kLanes;  // of one row of a block
// And of as much of a row as goes together where there are registers for it: weights are then broadcast half
// as often, which else takes as many loads as the processor can do.
constexpr int kWideVectors = kLanes == 16 ? 2 * kVectors : kVectors;
// Rows computed together, so that at least eight independent sums hide the latency of a multiply-add.
constexpr int kRowTile = kLanes >= 8 ? kLanes / 4 : 1;

/// Rows, `stride` apart.
struct Rows {
  const float* at;
  int stride;
  int count;
  Rows from(int row) const { return {at + row * stride, stride, count - row}; }
};

/// weight [outs][in.count] times rows.
struct Product {
  const float* weight;
  Rows in;
};

/// Of dense(), where a row starts: at its bias, or at zero.
struct Biases {
  const float* of;
  MGRN_INLINE Vector operator()(int o) const { return splat(of[o]); }
};
struct NoBias {
  MGRN_INLINE Vector operator()(int) const { return Vector{}; }
};

/// And what becomes of it: stored among rows, `stride` apart.
struct Into {
  float* at;
  int stride;
  MGRN_INLINE void operator()(int o, int n, Vector value) const { store(at + o * stride + n, value); }
};

template <int kRows, int kCount>
MGRN_INLINE void add_product(const Product& product, int o, int n, Vector (&total)[kRows][kCount]) {
  const std::ptrdiff_t ins = product.in.count;
  const float* const weight = product.weight + o * ins;
#pragma GCC unroll 4
  for (int i = 0; i < product.in.count; ++i) {
    const float* const in = product.in.at + i * product.in.stride + n;
    Vector w[kRows];
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) w[row] = splat(weight[row * ins + i]);
#pragma GCC unroll 8
    for (int v = 0; v < kCount; ++v) {
      const Vector x = kRows > 1 ? load_once(in + v * kLanes) : load(in + v * kLanes);
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) total[row][v] = fma(w[row], x, total[row][v]);
    }
  }
}

template <int kRows, int kCount, typename Start, typename Finish, typename... Products>
MGRN_INLINE void dense_rows(int o, int n, Start start, Finish finish, const Products&... products) {
  Vector total[kRows][kCount];
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
    const Vector first = start(o + row);
#pragma GCC unroll 8
    for (int v = 0; v < kCount; ++v) total[row][v] = first;
  }
  (add_product(products, o, n, total), ...);
#pragma GCC unroll 8
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 8
    for (int v = 0; v < kCount; ++v) finish(o + row, n + v * kLanes, total[row][v]);
  }
}

template <int kCount, typename Start, typename Finish, typename... Products>
MGRN_INLINE void dense_columns(int outs, int n, Start start, Finish finish, const Products&... products) {
  // Three that are left go together, as one would have too few sums.
  const int left_over = outs % kRowTile;
  const int last = kRowTile == 2 && left_over == 1 && outs >= 3 ? 3 : left_over;
  for (int o = 0; o < outs - last; o += kRowTile)
    dense_rows<kRowTile, kCount>(o, n, start, finish, products...);
  if constexpr (kRowTile > 1) {
    if (last == 3) {
      dense_rows<3, kCount>(outs - 3, n, start, finish, products...);
      return;
    }
  }
  for (int o = outs - last; o < outs; ++o) dense_rows<1, kCount>(o, n, start, finish, products...);
}

/// finish(o, n, start(o) + the products) for every row o and every vector of cells at n.
template <typename Start, typename Finish, typename... Products>
MGRN_INLINE void dense(int outs, int cells, Start start, Finish finish, const Products&... products) {
  int n = 0;
  if constexpr (kWideVectors > kVectors) {
    for (; n + kWideVectors * kLanes <= cells; n += kWideVectors * kLanes) {
      dense_columns<kWideVectors>(outs, n, start, finish, products...);
    }
  }
  for (; n < cells; n += kTokenBlock) dense_columns<kVectors>(outs, n, start, finish, products...);
}

template <int kRows, int kIns, typename Start, typename Finish>
MGRN_INLINE void spread_rows(int o, int cells, Start start, Finish finish, const Product& product) {
  Vector w[kRows][kIns], first[kRows];
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
    first[row] = start(o + row);
#pragma GCC unroll 4
    for (int i = 0; i < kIns; ++i) w[row][i] = splat(product.weight[(o + row) * kIns + i]);
  }
#pragma GCC unroll 2
  for (int n = 0; n < cells; n += kLanes) {
    Vector x[kIns];
#pragma GCC unroll 4
    for (int i = 0; i < kIns; ++i) x[i] = load_once(product.in.at + i * product.in.stride + n);
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      Vector total = first[row];
#pragma GCC unroll 4
      for (int i = 0; i < kIns; ++i) total = fma(w[row][i], x[i], total);
      finish(o + row, n, total);
    }
  }
}

template <int kIns, typename Start, typename Finish>
MGRN_INLINE void spread_columns(int outs, int cells, Start start, Finish finish, const Product& product) {
  constexpr int kRows = kLanes == 16 ? 4 : 2;
  const int whole = outs - outs % kRows;
  for (int o = 0; o < whole; o += kRows) spread_rows<kRows, kIns>(o, cells, start, finish, product);
  for (int o = whole; o < outs; ++o) spread_rows<1, kIns>(o, cells, start, finish, product);
}

/// dense() of one product of few columns and many rows: a few rows' weights stay in registers for all cells.
template <typename Start, typename Finish>
MGRN_INLINE void spread(int outs, int cells, Start start, Finish finish, const Product& product) {
  if (product.in.count == 3) {
    spread_columns<3>(outs, cells, start, finish, product);
  } else if (product.in.count == 4) {
    spread_columns<4>(outs, cells, start, finish, product);
  } else {
    dense(outs, cells, start, finish, product);
  }
}

/// Of outer(): the sum of the l-th left and the r-th right row lies at (l left_step + r right_step) kLanes.
struct OuterSums {
  float* at;
  int left_step, right_step;
  OuterSums from(int left, int right) const {
    return {at + (left * left_step + right * right_step) * kLanes, left_step, right_step};
  }
};

template <int kLefts, int kRights>
MGRN_INLINE void outer_tile(const Rows& left, const Rows& right, int cells, const OuterSums& sums) {
  Vector total[kLefts][kRights] = {};
  for (int n = 0; n < cells; n += kLanes) {
    Vector value[kRights];
#pragma GCC unroll 4
    for (int r = 0; r < kRights; ++r) value[r] = load_once(right.at + r * right.stride + n);
#pragma GCC unroll 4
    for (int l = 0; l < kLefts; ++l) {
      const Vector factor = load_once(left.at + l * left.stride + n);
#pragma GCC unroll 4
      for (int r = 0; r < kRights; ++r) total[l][r] = fma(factor, value[r], total[l][r]);
    }
  }
#pragma GCC unroll 4
  for (int l = 0; l < kLefts; ++l) {
#pragma GCC unroll 4
    for (int r = 0; r < kRights; ++r) {
      float* const sum = sums.from(l, r).at;
      store(sum, load(sum) + total[l][r]);
    }
  }
}

template <int kRights>
MGRN_INLINE void outer_rows(const Rows& left, const Rows& right, int cells, const OuterSums& sums) {
  // What fits 16 registers, or 32.
  constexpr int kMost = kRights == 4 && kLanes < 16 ? 2 : 4;
  int l = 0;
  for (; l + kMost <= left.count; l += kMost)
    outer_tile<kMost, kRights>(left.from(l), right, cells, sums.from(l, 0));
  if constexpr (kMost == 4) {
    if (left.count - l == 3) {
      outer_tile<3, kRights>(left.from(l), right, cells, sums.from(l, 0));
      return;
    }
    if (left.count - l == 2) outer_tile<2, kRights>(left.from(l), right, cells, sums.from(l, 0));
  }
  if ((left.count - l) % 2 == 1) {
    l = left.count - 1;
    outer_tile<1, kRights>(left.from(l), right, cells, sums.from(l, 0));
  }
}

/// Weight gradient of a dense layer: sums[l][r] += left[l] right[r], lane by lane.
MGRN_INLINE void outer(const Rows& left, const Rows& right, int cells, const OuterSums& sums) {
  int r = 0;
  for (; r + 4 <= right.count; r += 4) outer_rows<4>(left, right.from(r), cells, sums.from(0, r));
  switch (right.count - r) {
    case 3:
      outer_rows<3>(left, right.from(r), cells, sums.from(0, r));
      break;
    case 2:
      outer_rows<2>(left, right.from(r), cells, sums.from(0, r));
      break;
    case 1:
      outer_rows<1>(left, right.from(r), cells, sums.from(0, r));
      break;
    default:
      break;
  }
}

/// Its bias gradient: sums[row] += the row's values, lane by lane.
MGRN_INLINE void add_sums(const Rows& rows, int cells, float* sums) {
  for (int row = 0; row < rows.count; ++row) {
    const float* const from = rows.at + row * rows.stride;
    Vector total[kVectors] = {};
    for (int n = 0; n < cells; n += kTokenBlock) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) total[v] += load(from + n + v * kLanes);
    }
    for (int v = 1; v < kVectors; ++v) total[0] += total[v];
    store(sums + row * kLanes, load(sums + row * kLanes) + total[0]);
  }
}

/// A tile of a row, towards the first-level cache. No more of them at once: a processor seems to drop
/// those that it has no room for.
MGRN_INLINE void fetch_row(const float* row) {
  constexpr int kLine = 16;
#pragma GCC unroll 8
  for (int n = 0; n < kTile; n += kLine) __builtin_prefetch(row + n);
}

/// x[column][kTile] *= scale where the column's mask words have the cell's bit, else 0. A word covers
/// kTokenBlock cells.
inline void apply_mask(float* x, int columns, int cells, const std::uint32_t* words, int words_per_column,
                       float scale) {
  Integers bit{};
  for (int lane = 0; lane < kLanes; ++lane) bit[lane] = std::int32_t{1} << lane;
  for (int column = 0; column < columns; ++column) {
    for (int n = 0; n < cells; n += kLanes) {
      const std::uint32_t word = words[column * words_per_column + n / kTokenBlock];
      const Integers lanes = Integers{} + static_cast<std::int32_t>(word >> (n % kTokenBlock));
      float* at = x + column * kTile + n;
      store(at, (lanes & bit) != 0 ? load(at) * scale : Vector{});
    }
  }
}

/// A layer norm of `width` columns, without its scale and shift, in their coordinates: x [coordinates][kTile]
/// -> y, of length sqrt(width), and 1 / standard deviation. PyTorch's epsilon.
MGRN_INLINE void layer_norm(const float* x, int width, int cells, float* y, int stride, float* scale) {
  const float share = 1.0f / static_cast<float>(width);
  constexpr int kCount = 2;
  for (int n = 0; n < cells; n += kCount * kLanes) {
    Vector squares[kCount] = {}, rescale[kCount];
    for (int c = 0; c < width - 1; ++c) {
      MGRN_EACH(u) {
        const Vector value = load_once(x + c * kTile + n + u * kLanes);
        squares[u] = fma(value, value, squares[u]);
      }
    }
    MGRN_EACH(u) {
      rescale[u] = 1.0f / square_root(fma(squares[u], splat(share), splat(1e-5f)));
      store(scale + n + u * kLanes, rescale[u]);
    }
    for (int c = 0; c < width - 1; ++c) {
      MGRN_EACH(u) {
        store(y + c * stride + n + u * kLanes, load(x + c * kTile + n + u * kLanes) * rescale[u]);
      }
    }
  }
}

/// gradient [coordinates] of y -> result, that of x.
MGRN_INLINE void layer_norm_backward(const float* gradient, int gradient_stride, int width, int cells,
                                     const float* y, int stride, const float* scale, float* result,
                                     int result_stride) {
  const Vector share = splat(1.0f / static_cast<float>(width));
  constexpr int kCount = 2;
  for (int n = 0; n < cells; n += kCount * kLanes) {
    Vector along[kCount] = {}, rescale[kCount];
    for (int c = 0; c < width - 1; ++c) {
      MGRN_EACH(u) {
        along[u] = fma(load(gradient + c * gradient_stride + n + u * kLanes),
                       load(y + c * stride + n + u * kLanes), along[u]);
      }
    }
    MGRN_EACH(u) {
      along[u] *= share;
      rescale[u] = load(scale + n + u * kLanes);
    }
    for (int c = 0; c < width - 1; ++c) {
      MGRN_EACH(u) {
        const int at = n + u * kLanes;
        const Vector across =
            load(gradient + c * gradient_stride + at) - load(y + c * stride + at) * along[u];
        store(result + c * result_stride + at, across * rescale[u]);
      }
    }
  }
}

}  // namespace
}  // namespace mgrn::model::cpu
