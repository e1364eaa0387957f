// SPDX-License-Identifier: Apache-2.0
// Cells of separate RNA and ATAC files, joined by their barcodes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mgrn::formats {

struct CellPair {
  std::uint64_t rna = 0;   ///< index in the RNA file
  std::uint64_t atac = 0;  ///< index in the ATAC file
};

struct BarcodeJoin {
  std::vector<CellPair> cells;  ///< in RNA order
  std::uint64_t rna_only = 0;   ///< RNA cells without ATAC
  std::uint64_t atac_only = 0;  ///< ATAC cells without RNA
  bool suffix_ignored = false;  ///< one file ends all its barcodes in "-1", the other none
};

/// Barcodes match when equal, but for a "-1" that every barcode of one file ends in and none of the
/// other. A barcode that occurs twice in one file is a DataError; no common barcode is not (the caller
/// knows what to say). The file names are for messages.
BarcodeJoin join_barcodes(const std::vector<std::string>& rna, const std::vector<std::string>& atac,
                          const std::string& rna_file = {}, const std::string& atac_file = {});

/// One barcode a line, or the first column of a CSV/TSV (or the one named barcode, cell, cell_id) with or
/// without a header; plain or gzip. Order kept, repeats dropped. Throws DataError; an empty list is one.
std::vector<std::string> read_barcode_list(const std::filesystem::path& file);

}  // namespace mgrn::formats
