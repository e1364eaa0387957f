// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

namespace mgrn::test {

/// Path of a file under the real data beside the project (`../shared/data`, or $MGRN_TEST_DATA), or an
/// empty path where that data is absent: the test then skips with the reason.
std::filesystem::path real_data(const std::string& relative);

}  // namespace mgrn::test

/// Skips the running test, with a reason, where the real data is absent.
#define MGRN_REQUIRE_REAL_DATA(path)                                               \
  if ((path).empty()) {                                                            \
    GTEST_SKIP() << "real data is absent (set MGRN_TEST_DATA to the data folder)"; \
  }
