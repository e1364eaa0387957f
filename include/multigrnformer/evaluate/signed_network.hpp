// SPDX-License-Identifier: Apache-2.0
// Reference networks whose edges activate or repress: BEELINE's third column Type, + or -.
#pragma once

#include <filesystem>
#include <vector>

#include "multigrnformer/formats/network_file.hpp"

namespace mgrn::evaluate {

struct SignedNetwork {
  std::vector<formats::NamedEdge> activating;
  std::vector<formats::NamedEdge> repressing;
  bool empty() const { return activating.empty() && repressing.empty(); }
};

/// Empty unless the file has a header with a column named Type, with + or - in it. Throws DataError for
/// another type beside these, with its line.
SignedNetwork read_signed_network(const std::filesystem::path& file);

}  // namespace mgrn::evaluate
