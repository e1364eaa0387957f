// SPDX-License-Identifier: Apache-2.0
// What `baseline` is told beyond train's keys. Defaults stand here; src/cli/keys_baseline.cpp binds a key to
// each field.
#pragma once

#include <string>

namespace mgrn::baselines {

struct Options {
  std::string method;  ///< --method: a name of methods()
};

}  // namespace mgrn::baselines
