// SPDX-License-Identifier: Apache-2.0
// Lists and tables whose first line may be a header, and whose delimiter that line tells. Inside the room
// only.
#pragma once

#include <span>
#include <string_view>

#include "multigrnformer/formats/text_lines.hpp"

namespace mgrn::formats {

/// Calls `row(fields, line)` for every line of `reader` that is not blank, but for the first where
/// `is_header(fields)` says so. Fields and line live until the call returns.
template <typename IsHeader, typename Row>
void for_each_row(LineReader& reader, IsHeader is_header, Row row) {
  FieldSplitter splitter(',');
  bool first = true;
  std::string_view line;
  while (reader.next(line)) {
    if (trim(line).empty()) {
      continue;
    }
    if (first) {
      splitter = FieldSplitter(detect_delimiter(line));
    }
    const std::span<const std::string_view> fields = splitter.split(line, reader);
    if (!first || !is_header(fields)) {
      row(fields, line);
    }
    first = false;
  }
}

}  // namespace mgrn::formats
