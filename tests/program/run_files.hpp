// SPDX-License-Identifier: Apache-2.0
// The files of a run's folder, as tests compare them.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace mgrn::test {

/// A file's bytes; a file that cannot be read fails the test.
std::string content(const std::filesystem::path& file);

/// The files of a run that must be equal, and metrics.jsonl without its one field of time.
std::map<std::string, std::string> files_of(const std::filesystem::path& run);

void expect_equal_runs(const std::filesystem::path& a, const std::filesystem::path& b,
                       const std::string& what);

}  // namespace mgrn::test
