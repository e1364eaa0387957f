// SPDX-License-Identifier: Apache-2.0
#include "support/shared_data.hpp"
#include "support/paths.hpp"

#include <cstdlib>

namespace mgrn::test {

std::filesystem::path real_data(const std::string& relative) {
  const char* given = std::getenv("MGRN_TEST_DATA");
  const std::filesystem::path root =
      given != nullptr ? std::filesystem::path(given)
                       : std::filesystem::path(source_path("..")).lexically_normal() / "shared" / "data";
  const std::filesystem::path file = root / relative;
  return std::filesystem::exists(file) ? file : std::filesystem::path();
}

}  // namespace mgrn::test
