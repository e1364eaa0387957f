// SPDX-License-Identifier: Apache-2.0
// Gene symbols match without regard to case: BEELINE writes mouse symbols in upper case.
#pragma once

#include <cctype>
#include <string>
#include <string_view>

namespace mgrn::base {

/// The key under which a gene symbol, chromosome or TF is looked up: ASCII upper case.
inline std::string symbol_key(std::string_view symbol) {
  std::string key(symbol);
  for (char& letter : key) {
    letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  }
  return key;
}

}  // namespace mgrn::base
