// SPDX-License-Identifier: Apache-2.0
// Sums and maxima over a group of threads, always in the same order: lanes by halves, then warps ascending.
//
// `Block` is what a kernel's body knows of its thread: thread(), threads(), block(), sync(),
// sync_group(group, threads), sync_warp(), shuffle_xor(value, lanes), prefetch(place), shared(), atomic_max,
// atomic_add.
// device.cuh is the GPU's, tests/model/block_emulation.hpp the processor's.
#pragma once

#include "model/cuda/layout.hpp"

namespace mgrn::model::cuda {

template <typename Block>
struct Group {
  Block& block;
  int index;    ///< of the group in its block
  int threads;  ///< a multiple of 32
  int thread;   ///< in the group
  GroupScratch* scratch;

  MGRN_DEVICE int lane() const { return thread % kWarp; }
  MGRN_DEVICE int warp() const { return thread / kWarp; }
  MGRN_DEVICE int warps() const { return threads / kWarp; }
  MGRN_DEVICE void sync() const { block.sync_group(index, threads); }
};

/// One step of transposed_sum: lanes that differ by kHalf exchange half of their values. A template, so that
/// every index is a constant and values stay in registers.
template <int kHalf, typename Block>
MGRN_DEVICE void exchange_halves(Block& block, int lane, float (&values)[kWarp]) {
  const bool upper = (lane & kHalf) != 0;
  MGRN_UNROLL
  for (int i = 0; i < kHalf; ++i) {
    const float keep = upper ? values[i + kHalf] : values[i];
    const float send = upper ? values[i] : values[i + kHalf];
    values[i] = keep + block.shuffle_xor(send, kHalf);
  }
}

/// Sums 32 values of each lane over the warp, with 31 exchanges: lane i receives the sum of the i-th values.
template <typename Block>
MGRN_DEVICE float transposed_sum(Block& block, int lane, float (&values)[kWarp]) {
  exchange_halves<16>(block, lane, values);
  exchange_halves<8>(block, lane, values);
  exchange_halves<4>(block, lane, values);
  exchange_halves<2>(block, lane, values);
  exchange_halves<1>(block, lane, values);
  return values[0];
}

/// scratch->totals[i] and [32 + i] = sums of first[i] and second[i] over the group, i < count; in the group's
/// first warp only, whose lanes may then read them. scratch is in use until the group's next sync().
template <typename Block>
MGRN_DEVICE void group_totals(const Group<Block>& group, int count, float (&first)[kWarp],
                              float (&second)[kWarp]) {
  GroupScratch& scratch = *group.scratch;
  constexpr int kHalf = kWarp / 2;
  const int lane = group.lane();
  float* const sums = scratch.sums[group.warp()];
  const bool at_once = count <= kHalf;
  if (at_once) {
    MGRN_UNROLL
    for (int i = 0; i < kHalf; ++i) first[kHalf + i] = second[i];
  }
  const float total = transposed_sum(group.block, lane, first);
  sums[at_once && lane >= kHalf ? kHalf + lane : lane] = total;
  if (!at_once) sums[kWarp + lane] = transposed_sum(group.block, lane, second);
  group.sync();
  if (group.warp() != 0) return;
  if (lane < count) {
    float one = scratch.sums[0][lane], two = scratch.sums[0][kWarp + lane];
    for (int warp = 1; warp < group.warps(); ++warp) {
      one += scratch.sums[warp][lane];
      two += scratch.sums[warp][kWarp + lane];
    }
    scratch.totals[lane] = one;
    scratch.totals[kWarp + lane] = two;
  }
  group.block.sync_warp();
}

struct Add {
  template <typename Value>
  MGRN_DEVICE Value operator()(Value a, Value b) const {
    return a + b;
  }
};
struct Larger {
  MGRN_DEVICE float operator()(float a, float b) const { return larger(a, b); }
};

/// The values of each kLanes lanes in a row, a power of two, combined; the same in each of them.
template <int kLanes = kWarp, typename Combine, typename Value, typename Block>
MGRN_DEVICE Value warp_combine(Block& block, Combine combine, Value value) {
  MGRN_UNROLL
  for (int lanes = kLanes / 2; lanes > 0; lanes /= 2) {
    value = combine(value, block.shuffle_xor(value, lanes));
  }
  return value;
}

/// values[i] = all threads' values[i], combined; the same in every thread.
template <int kCount, typename Combine, typename Block>
MGRN_DEVICE void group_combine(const Group<Block>& group, Combine combine, float (&values)[kCount]) {
  GroupScratch& scratch = *group.scratch;
  MGRN_UNROLL
  for (int i = 0; i < kCount; ++i) values[i] = warp_combine(group.block, combine, values[i]);
  if (group.lane() == 0) {
    MGRN_UNROLL
    for (int i = 0; i < kCount; ++i) scratch.sums[group.warp()][i] = values[i];
  }
  group.sync();
  MGRN_UNROLL
  for (int i = 0; i < kCount; ++i) {
    values[i] = scratch.sums[0][i];
    for (int warp = 1; warp < group.warps(); ++warp) values[i] = combine(values[i], scratch.sums[warp][i]);
  }
  // The scratch may be written again.
  group.sync();
}

}  // namespace mgrn::model::cuda
