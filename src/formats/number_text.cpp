// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/number_text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <system_error>
#include <type_traits>

namespace mgrn::formats {
namespace {

template <class T>
void append(std::string& text, T value) {
  std::array<char, 64> digits{};
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) {  // to_chars would keep the sign of a NaN
      text += "nan";
      return;
    }
  }
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  text.append(digits.data(), result.ptr);
}

template <class T>
bool parse(std::string_view text, T& value) {
  if (text.size() > 1 && text.front() == '+' && text[1] != '-' && text[1] != '+') {
    text.remove_prefix(1);
  }
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec == std::errc{}) {
    return result.ptr == end;
  }
  if constexpr (std::is_floating_point_v<T>) {
    // from_chars says the same of too large and too small; strtod tells them apart.
    if (result.ec == std::errc::result_out_of_range && result.ptr == end) {
      const T nearest = static_cast<T>(std::strtod(std::string(text).c_str(), nullptr));
      if (std::isfinite(nearest)) {
        value = nearest;
        return true;
      }
    }
  }
  return false;
}

}  // namespace

std::string number_text(float value) {
  std::string text;
  append(text, value);
  return text;
}
std::string number_text(double value) {
  std::string text;
  append(text, value);
  return text;
}
void append_number(std::string& text, float value) {
  append(text, value);
}
void append_number(std::string& text, double value) {
  append(text, value);
}
void append_number(std::string& text, std::int64_t value) {
  append(text, value);
}
void append_number(std::string& text, std::uint64_t value) {
  append(text, value);
}

bool parse_number(std::string_view text, float& value) {
  return parse(text, value);
}
bool parse_number(std::string_view text, double& value) {
  return parse(text, value);
}
bool parse_number(std::string_view text, std::int64_t& value) {
  return parse(text, value);
}
bool parse_number(std::string_view text, std::uint64_t& value) {
  return parse(text, value);
}

}  // namespace mgrn::formats
