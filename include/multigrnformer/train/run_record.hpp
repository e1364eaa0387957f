// SPDX-License-Identifier: Apache-2.0
// What run_info.json says of a run beside its result: the program, the inputs with their checksums, seeds and
// hosts. Shared by all that fill a run's folder.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "multigrnformer/base/json_fwd.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/formats/network_file.hpp"
#include "multigrnformer/train/settings.hpp"
#include "multigrnformer/train/sources.hpp"

namespace mgrn::train {

/// Program, version, build, C library, seeds and inputs. Not collective. Throws DataError for an input that
/// cannot be read.
base::Json run_facts(const Settings& settings, std::span<const Source> sources);

std::string host_name();
/// Collective. The name that each rank gives, by rank; on every rank.
base::Json gathered_names(comm::Communicator& communicator, const std::string& mine);

/// The positive pairs outside the test set, which the degree control counts.
std::vector<formats::NamedEdge> training_positives(const Source& source);

}  // namespace mgrn::train
