// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/keys.hpp"

namespace mgrn::cli {

void add_baseline_keys(KeyTable&, Config&) {}

}  // namespace mgrn::cli
