// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "multigrnformer/cli/config.hpp"
#include "multigrnformer/cli/key_table.hpp"
#include "multigrnformer/experiments/grid_file.hpp"

namespace mgrn::cli {

/// Reads an INI grid file; `config` holds what the command line says, `table` its keys. Paths come out
/// absolute. Not collective. Throws UsageError that names an unknown section or key and the nearest one,
/// DataError when the file cannot be read. Whether values are legal is seen when the tasks are planned.
experiments::GridFile read_grid_file(const std::filesystem::path& file, const Config& config,
                                     const KeyTable& table);

}  // namespace mgrn::cli
