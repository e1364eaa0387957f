// SPDX-License-Identifier: Apache-2.0
// The random stream of one thing: (seed, what is drawn, index, index). Nothing depends on the order in which
// things are made.
#pragma once

#include <cstdint>
#include <string_view>

#include "multigrnformer/base/philox.hpp"

namespace mgrn::simulate {

inline base::PhiloxStream stream(std::uint64_t seed, std::string_view what, std::uint64_t first = 0,
                                 std::uint64_t second = 0) {
  return {seed, base::NameHash().add(what).add(first).add(second).value()};
}

}  // namespace mgrn::simulate
