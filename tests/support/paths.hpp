// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace mgrn::test {

/// Absolute path of a file of the source tree. Only paths.cpp is compiled with the tree's place in it, so
/// that the compiler cache serves several checkouts.
std::string source_path(const std::string& relative);

/// Absolute path of a file of the build tree.
std::string binary_path(const std::string& relative);

}  // namespace mgrn::test
