// SPDX-License-Identifier: Apache-2.0
// Copies of the datasets on each node's own disk (data.stage). The run's record keeps the names that the user
// gave: where a file was read from changes no result.
#pragma once

#include <filesystem>
#include <map>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::train {

/// Collective. These settings with every dataset (and cross.target) replaced by its copy in settings.stage,
/// made by one rank per node unless it is there already; `originals` maps copies to the files they are of.
/// Files that do not exist stay as they are, for whoever opens them to report. Throws OutputError, DataError.
Settings stage_datasets(const Settings& settings, comm::Communicator& communicator,
                        std::map<std::filesystem::path, std::filesystem::path>& originals);

}  // namespace mgrn::train
