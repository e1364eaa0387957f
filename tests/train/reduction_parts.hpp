// SPDX-License-Identifier: Apache-2.0
// Units dealt out to ranks and threads, for the tests of the gradient sums with several ranks.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/train/reduction.hpp"

namespace mgrn::train::test {

inline constexpr std::size_t kParameters = 1003;  // no multiple of a vector's width

inline std::vector<float> unit_gradient(std::uint64_t unit, std::size_t size = kParameters) {
  base::PhiloxStream random(7, unit);
  std::vector<float> gradient(size);
  for (float& value : gradient) {
    const int exponent = static_cast<int>(random.below(30)) - 25;
    value = static_cast<float>(std::ldexp(random.normal(), exponent));
  }
  return gradient;
}

inline UnitStatistics unit_statistics(std::uint64_t unit) {
  base::PhiloxStream random(8, unit);
  return {.loss = 11 * random.uniform(), .live_hidden = random.below(129)};
}

struct Result {
  ReductionOutcome outcome;
  std::vector<float> gradient;
};

/// Collective. `units` units: unit u belongs to rank u mod size, there to thread (u / size) mod threads. A
/// bad value, where given, replaces one value of unit 4's gradient.
inline Result reduce_dealt_out(comm::Communicator& communicator, bool exact, std::uint64_t units,
                               std::uint64_t threads, const float* bad = nullptr) {
  const auto size = static_cast<std::uint64_t>(communicator.size());
  const auto rank = static_cast<std::uint64_t>(communicator.rank());
  std::vector<std::unique_ptr<GradientSum>> sums;
  for (std::uint64_t thread = 0; thread < threads; ++thread) {
    sums.push_back(exact ? make_exact_sum(kParameters) : make_float_sum(kParameters));
    sums.back()->start(40);
  }
  for (std::uint64_t unit = rank; unit < units; unit += size) {
    auto gradient = unit_gradient(unit);
    if (bad != nullptr && unit == 4) {
      gradient[500] = *bad;
    }
    sums[unit / size % threads]->add(gradient, unit_statistics(unit));
  }
  for (std::uint64_t thread = 1; thread < threads; ++thread) {
    sums[0]->merge(*sums[thread]);
  }
  Result result;
  result.gradient.assign(kParameters, -1.0f);
  result.outcome = sums[0]->reduce(communicator, 1, result.gradient);
  return result;
}

}  // namespace mgrn::train::test
