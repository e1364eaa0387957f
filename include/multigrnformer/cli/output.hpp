// SPDX-License-Identifier: Apache-2.0
// stdout is for results and belongs to rank 0.
#pragma once

#include <string>

#include "multigrnformer/base/json_fwd.hpp"
#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::cli {

/// Prints on rank 0 only. Collective: a stdout that cannot be written (a full disk, say) is an OutputError on
/// every rank, not a silent loss.
void print_result(comm::Communicator& world, const std::string& text);

/// The few figures of a result that a person looks at first, each beside its controls. `method` heads its
/// column.
std::string metrics_table(const base::Json& result, const std::string& method = "model");

}  // namespace mgrn::cli
