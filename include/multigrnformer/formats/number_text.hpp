// SPDX-License-Identifier: Apache-2.0
// Numbers as text: the shortest form that reads back to the same bits, and strict parsing. Never the locale.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mgrn::formats {

/// Shortest text that parses back to the same value: 0.1, 1e-05, 3; "nan", "inf", "-inf".
std::string number_text(float value);
std::string number_text(double value);
void append_number(std::string& text, float value);
void append_number(std::string& text, double value);
void append_number(std::string& text, std::int64_t value);
void append_number(std::string& text, std::uint64_t value);

/// True when the whole of `text` (no blanks; a leading + is allowed) is a number of that type. A decimal too
/// small for the type becomes 0 or a subnormal; one too large is refused. "nan" and "inf" parse: callers
/// check.
bool parse_number(std::string_view text, float& value);
bool parse_number(std::string_view text, double& value);
bool parse_number(std::string_view text, std::int64_t& value);
bool parse_number(std::string_view text, std::uint64_t& value);

}  // namespace mgrn::formats
