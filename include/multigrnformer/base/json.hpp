// SPDX-License-Identifier: Apache-2.0
// JSON whose bytes depend on its content alone: keys sorted, numbers in their shortest exact form.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "multigrnformer/base/json_fwd.hpp"

namespace mgrn::base {

/// Text of a result file: two-space indent, final newline. Non-finite numbers become null.
std::string json_text(const Json& value);
/// One line without spaces after separators, for JSON lines; no newline.
std::string json_line(const Json& value);
/// Parses a file. Throws DataError with the position of the mistake.
Json read_json(const std::filesystem::path& file);

}  // namespace mgrn::base
