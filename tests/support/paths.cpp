// SPDX-License-Identifier: Apache-2.0
#include "support/paths.hpp"

namespace mgrn::test {

std::string source_path(const std::string& relative) {
  return MGRN_SOURCE_DIR "/" + relative;
}

std::string binary_path(const std::string& relative) {
  return MGRN_BINARY_DIR "/" + relative;
}

}  // namespace mgrn::test
