// SPDX-License-Identifier: Apache-2.0
// Which way a head of one column went, read from what its forward pass left for the way back. Nothing is
// counted on that pass itself: training does not pay for it.
#pragma once

#include <algorithm>

#include "model/cpu/kernels.hpp"
#include "multigrnformer/model/engine.hpp"

namespace mgrn::model::cpu {

inline AttentionPath attention_path(const Dimensions& dims, const LayerState& state, int head) {
  const HeadPlan& plan = state.plan[head];
  AttentionPath path{.panels = plan.panels};
  for (int p = 0; p < plan.panels; ++p) {
    // A panel without queries has no polynomial.
    if (plan.panel[p].begin < plan.panel[p].end) {
      path.terms += dims.polynomials[plan.panel[p].polynomial].terms;
    }
  }
  const float* queries = state.qkv + head * dims.padded;
  const auto [low, high] = std::minmax_element(queries, queries + dims.cells);
  path.range = 0.5 * (static_cast<double>(*high) - *low) * plan.key_half;
  return path;
}

}  // namespace mgrn::model::cpu
