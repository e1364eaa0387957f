// SPDX-License-Identifier: Apache-2.0
// Writes a multiome dataset whose regulatory network is known: TFs regulate targets through accessible peaks.
// The model is described in docs/simulation.md. One process calls it, on one thread; memory is that of the
// rules plus one block of cells, whatever the number of cells. Output is a function of the settings alone.
#pragma once

#include <cstdint>
#include <filesystem>

#include "multigrnformer/simulate/settings.hpp"

namespace mgrn::simulate {

/// What was written.
struct Summary {
  std::uint64_t cells = 0;
  std::uint64_t genes = 0;
  std::uint64_t peaks = 0;
  std::uint64_t tfs = 0;
  std::uint64_t edges = 0;
  std::uint64_t rna_entries = 0;   ///< non-zero
  std::uint64_t atac_entries = 0;  ///< non-zero
};

/// Writes into `directory`, made if need be:
///   multiome.h5         10x format, Gene Expression + Peaks
///   annotation.gtf.gz   gene, transcript and exon lines
///   network.csv         Gene1,Gene2,Type (+ or -)
///   tfs.csv             TF
///   cells.csv           barcode,state,quality (good, low, doublet)
///   truth.json          settings, states and edges (columns tf, gene, sign, weight, peaks)
/// Each file appears whole or not at all; truth.json comes last and is removed first, so that its presence
/// says that the files belong together. Throws UsageError for illegal settings, OutputError for a folder
/// that cannot be written.
Summary simulate(const Settings& given, const std::filesystem::path& directory);

}  // namespace mgrn::simulate
