// SPDX-License-Identifier: Apache-2.0
// What engines do that have no way of their own: the exact sum in two passes, and no samples of held columns.
#include <algorithm>

#include "model/checks.hpp"
#include "multigrnformer/model/engine.hpp"
#include "multigrnformer/model/fixed_point.hpp"

namespace mgrn::model {

StepStatistics Engine::accumulate(const Parameters& parameters, const MicroBatch& batch, FixedPointSum& sum) {
  separate_.resize(parameters.values().size());
  const StepStatistics statistics = gradient(parameters, batch, separate_);
  if (sum.fresh) std::ranges::fill(sum.values, 0);
  sum.largest.push_back(add_fixed_point(separate_, sum.scale, sum.values));
  sum.fresh = false;
  return statistics;
}

void Engine::predict_held(const Parameters&, std::span<const HeldSample> samples, std::span<float>) {
  require_held(samples, 0, false);
}

void Engine::finish(FixedPointSum&) {}

std::span<std::uint64_t> Engine::device_sum(FixedPointSum&) {
  return {};
}

}  // namespace mgrn::model
