// SPDX-License-Identifier: Apache-2.0
// Count matrices written as Cell Ranger ARC writes them: the HDF5 file (v3: Gene Expression + Peaks) and
// the Matrix Market folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "multigrnformer/formats/matrix_source.hpp"

namespace mgrn::formats {

/// Writes a 10x .h5 by blocks of cells in bounded memory; the file appears under its name when finish()
/// returns. Counts must be whole numbers from 0 to 2^31-1 (else InternalError). Throws OutputError.
class TenxH5Writer {
 public:
  TenxH5Writer(const std::filesystem::path& file, const std::vector<Feature>& features,
               const std::vector<std::string>& barcodes);
  ~TenxH5Writer();
  TenxH5Writer(const TenxH5Writer&) = delete;
  TenxH5Writer& operator=(const TenxH5Writer&) = delete;

  /// Blocks in ascending order of cells, without gaps.
  void append(const CellBlock& block);
  /// All cells must have been appended.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// matrix.mtx.gz, features.tsv.gz and barcodes.tsv.gz in a new folder (which must not exist). Peaks and
/// genes with an interval get its three columns, as in Cell Ranger ARC.
void write_tenx_folder(const std::filesystem::path& folder, const std::vector<Feature>& features,
                       const std::vector<std::string>& barcodes, const CellBlock& cells);

}  // namespace mgrn::formats
