// SPDX-License-Identifier: Apache-2.0
// The files that `prepare` was given, opened and checked against each other before any matrix is read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/formats/annotation.hpp"
#include "multigrnformer/formats/barcodes.hpp"
#include "multigrnformer/formats/matrix_source.hpp"
#include "multigrnformer/prepare/settings.hpp"

namespace mgrn::prepare {

struct Inputs {
  std::unique_ptr<formats::MatrixSource> rna;
  std::unique_ptr<formats::MatrixSource> atac;  ///< null: RNA only, or the peaks are in `rna`
  bool has_atac = false;

  std::vector<std::string> genes;               ///< symbols of the gene features, in source order
  std::vector<std::string> gene_ids;            ///< their ids
  std::vector<std::int64_t> gene_number;        ///< per feature of `rna` its gene, or -1
  std::vector<formats::GenomicInterval> peaks;  ///< positions of the peak features, in source order
  std::vector<std::int64_t> peak_number;        ///< per feature of peak_source() its peak, or -1

  std::vector<formats::CellPair> cells;  ///< cells in play, in RNA order; `atac` meaningful with peaks only
  std::vector<formats::Transcript> transcripts;  ///< unique ones; empty without peaks
  std::vector<std::uint8_t> blacklisted;         ///< per peak whether it touches a blacklist region

  base::Json counts;                  ///< of cells, genes and peaks found, for the record
  std::vector<std::string> warnings;  ///< in order; not logged yet

  formats::MatrixSource& peak_source() const { return atac ? *atac : *rna; }
};

/// Whether two paths are the same file (then one multiome file serves as both).
bool same_file(const std::filesystem::path& a, const std::filesystem::path& b);

/// Opens everything; no collective. Throws DataError: no genes, transposed matrix, no common barcode, peaks
/// without positions, an annotation of other genes or of another genome build, ...
Inputs open_inputs(const Settings& settings);

/// Per input file that was used: name, bytes, sha256, description; keys rna, atac, annotation, blacklist,
/// barcodes. A folder's digest is that of its matrix files. Reads all of them; no collective.
base::Json source_record(const Settings& settings, const Inputs& inputs);

}  // namespace mgrn::prepare
