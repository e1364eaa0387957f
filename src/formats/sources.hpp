// SPDX-License-Identifier: Apache-2.0
// One opener per container behind open_matrix(), and what they share. Inside the room only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "multigrnformer/formats/hdf5.hpp"
#include "multigrnformer/formats/matrix_source.hpp"

namespace mgrn::formats {

std::unique_ptr<MatrixSource> open_tenx_v3(hdf5::File file);
std::unique_ptr<MatrixSource> open_tenx_v2(hdf5::File file, const std::vector<std::string>& genomes);
std::unique_ptr<MatrixSource> open_anndata(hdf5::File file, const MatrixOptions& options);
std::unique_ptr<MatrixSource> open_mudata(hdf5::File file, const MatrixOptions& options);
/// `matrix` is the folder's matrix.mtx[.gz].
std::unique_ptr<MatrixSource> open_tenx_folder(const std::filesystem::path& folder,
                                               const std::filesystem::path& matrix = {});
std::unique_ptr<MatrixSource> open_text_matrix(const std::filesystem::path& file,
                                               const MatrixOptions& options);

/// Entries in any order, turned into cells: sorted, repeats summed, zeros dropped.
struct Entries {
  std::vector<std::uint32_t> cell;
  std::vector<std::uint32_t> feature;
  std::vector<float> value;
  void add(std::uint64_t cell_index, std::uint64_t feature_index, float entry) {
    cell.push_back(static_cast<std::uint32_t>(cell_index));
    feature.push_back(static_cast<std::uint32_t>(feature_index));
    value.push_back(entry);
  }
};
/// Takes `entries` (their memory is freed on the way). Cells and features must be in range, values finite.
CellBlock to_cells(Entries entries, std::uint64_t cells);
/// Sorts each cell's entries by feature, sums repeats, drops zeros.
void normalise(CellBlock& block);
/// Cells first .. last-1 of a block that starts at cell 0.
CellBlock slice(const CellBlock& whole, std::uint64_t first, std::uint64_t last);
/// Throws InternalError unless first <= last <= cells.
void require_range(std::uint64_t first, std::uint64_t last, std::uint64_t cells);
/// Throws DataError when `count` does not fit the 32-bit index of CellBlock.
void require_indexable(std::uint64_t count, const std::string& what, const std::string& file);
/// Throws DataError unless the value is finite; names cell and feature.
void require_finite(float value, const std::string& cell, const std::string& feature,
                    const std::string& place, const std::string& file);

/// data/indices/indptr of a compressed sparse matrix in HDF5, whose slices are read without the rest. Its
/// offsets are held against its arrays at once, its indices and values as they are read.
class SparseGroup {
 public:
  /// `major` rows with `minor` columns each (CSR by cell: major = cells). Throws DataError.
  SparseGroup(const hdf5::Group& group, std::uint64_t major, std::uint64_t minor);
  std::uint64_t entries() const { return entries_; }
  /// Rows first .. last-1: offsets from 0, indices and values as stored.
  CellBlock read(std::uint64_t first, std::uint64_t last, const std::vector<std::string>& major_names,
                 const std::vector<Feature>* minor_features,
                 const std::vector<std::string>* minor_names) const;

 private:
  std::string file_;
  hdf5::Dataset data_;
  hdf5::Dataset indices_;
  std::vector<std::int64_t> indptr_;
  std::uint64_t minor_;
  std::uint64_t entries_ = 0;
};

}  // namespace mgrn::formats
