// SPDX-License-Identifier: Apache-2.0
#include "support/time_limit.hpp"

#include <cstdlib>

namespace mgrn::test {

double time_limit(double seconds) {
  const char* factor = std::getenv("MGRN_TEST_TIMEOUT_FACTOR");
  return factor != nullptr ? seconds * std::strtod(factor, nullptr) : seconds;
}

}  // namespace mgrn::test
