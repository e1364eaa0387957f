// SPDX-License-Identifier: Apache-2.0
// The numbers that golden/make_neural_golden.py draws.
#pragma once

#include <cstdint>
#include <vector>

namespace mgrn::baselines::test {

/// In [0, 1), from Knuth's MMIX generator.
inline std::vector<double> uniform_numbers(std::uint64_t seed, std::size_t count) {
  std::uint64_t state = seed * 2654435761u + 12345u;
  std::vector<double> numbers(count);
  for (double& number : numbers) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    number = static_cast<double>(state >> 11) * 0x1p-53;
  }
  return numbers;
}

}  // namespace mgrn::baselines::test
