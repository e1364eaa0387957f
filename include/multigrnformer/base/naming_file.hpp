// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "multigrnformer/base/error.hpp"

namespace mgrn::base {

/// Runs `work`; an error that leaves it without naming a file gets `file`. For checks that see content only.
template <typename Work>
auto naming_file(const std::string& file, Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const Error& error) {
    if (!error.text().file.empty()) {
      throw;
    }
    ErrorText text = error.text();
    text.file = file;
    throw_error(error.code(), std::move(text), error.rank());
  }
}

}  // namespace mgrn::base
