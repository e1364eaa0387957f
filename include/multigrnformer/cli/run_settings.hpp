// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "multigrnformer/train/settings.hpp"

namespace mgrn::cli {

/// The settings with which a run folder was made, from its config.ini. Not collective. Throws DataError when
/// the folder is none of a run.
train::Settings settings_of_finished_run(const std::filesystem::path& run);

}  // namespace mgrn::cli
