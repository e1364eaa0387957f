// SPDX-License-Identifier: Apache-2.0
// Checks of a collective's arguments that every backend makes alike. A wrong one is a defect of the
// program, never of its user.
#pragma once

#include <string>

#include "multigrnformer/base/error.hpp"

namespace mgrn::comm {

inline void check_root(const char* operation, int root, int size) {
  if (root < 0 || root >= size) {
    throw base::InternalError({.what = std::string(operation) + " from a rank that does not exist",
                               .expected = "a rank below " + std::to_string(size),
                               .got = std::to_string(root)});
  }
}

inline void check_destinations(std::size_t destinations, int size) {
  if (destinations != static_cast<std::size_t>(size)) {
    throw base::InternalError({.what = "exchange with a wrong number of destinations",
                               .expected = std::to_string(size),
                               .got = std::to_string(destinations)});
  }
}

}  // namespace mgrn::comm
