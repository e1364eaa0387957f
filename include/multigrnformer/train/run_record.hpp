// SPDX-License-Identifier: Apache-2.0
// What all that fill a run's folder do alike: look whether it is done, say in run_info.json what ran (the
// program, the inputs with their checksums, seeds and hosts), and record how it ended.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/formats/network_file.hpp"
#include "multigrnformer/train/run_folder.hpp"
#include "multigrnformer/train/settings.hpp"
#include "multigrnformer/train/sources.hpp"

namespace mgrn::train {

/// Program, version, build, C library, seeds and inputs. Not collective. Throws DataError for an input that
/// cannot be read.
base::Json run_facts(const Settings& settings, std::span<const Source> sources);

/// Collective. result.json's content, on every rank, where the folder holds a finished run of these settings;
/// says so. Throws on every rank what RunFolder::finished throws.
std::optional<base::Json> finished_result(const RunFolder& folder, const Settings& settings,
                                          comm::Communicator& communicator);
/// Rank 0 records how the run ended. The error itself matters more than its record: one that cannot be
/// written is only said.
void record_end(const RunFolder& folder, const comm::Communicator& communicator,
                const base::Error& error) noexcept;

/// Collective. The name that each rank gives, by rank; on every rank.
base::Json gathered_names(comm::Communicator& communicator, const std::string& mine);

/// The positive pairs outside the test set, which the degree control counts.
std::vector<formats::NamedEdge> training_positives(const Source& source);

}  // namespace mgrn::train
