// SPDX-License-Identifier: Apache-2.0
// Raw matrices -> quality control -> normalisation, variable genes, regulatory potential -> dataset file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/prepare/settings.hpp"

namespace mgrn::prepare {

/// What was made; the same on every rank.
struct Report {
  std::filesystem::path file;
  std::string id;  ///< the dataset's 16 hex digits
  std::uint64_t genes = 0;
  std::uint64_t cells = 0;
  bool has_atac = false;
  base::Json quality;                 ///< as stored in the dataset; print with quality_text()
  std::vector<std::string> warnings;  ///< already logged
};

/// Collective. Every rank reads its own slice of cells; the dataset file is the same for any number of ranks.
/// Memory per rank: at most two copies of its slice's non-zeros (8 bytes each) plus one block of genes.
/// Throws UsageError (64) on contradictory settings, DataError (65) on inputs that cannot be used, with
/// counts and the next step, OutputError (74) where the dataset cannot be written.
Report prepare(const Settings& settings, comm::Communicator& communicator);

}  // namespace mgrn::prepare
