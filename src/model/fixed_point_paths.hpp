// SPDX-License-Identifier: Apache-2.0
// The ways of to_float (fixed_point.hpp), one for each instruction set, so that tests can hold each against
// the others on any processor that has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mgrn::model {

using ExactSums = std::span<const std::uint64_t* const>;
/// values[i] = (sums[0][first + i] + sums[1][first + i] + ... - bias) * factor
using ToFloat = void (*)(ExactSums sums, std::size_t first, std::uint64_t bias, double factor,
                         std::span<float> values);

struct ToFloatPath {
  const char* name;
  ToFloat convert;
};

/// Those that this processor runs, the fastest last. Thread-safe.
std::span<const ToFloatPath> to_float_paths();

}  // namespace mgrn::model
