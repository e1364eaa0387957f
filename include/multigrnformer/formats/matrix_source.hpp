// SPDX-License-Identifier: Apache-2.0
// A matrix of cells x features in any of the field's containers, read by slices of cells, so that each rank
// reads only its own cells and memory stays bounded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace mgrn::formats {

enum class FeatureType { gene_expression, peaks, other };

struct Feature {
  std::string id;    ///< Ensembl id or "chr1:100-200"
  std::string name;  ///< gene symbol, or the peak's name
  FeatureType type = FeatureType::gene_expression;
  std::string genome;    ///< "GRCh38", "mm10", or empty
  std::string interval;  ///< "chr1:100-200" for peaks and, in multiome files, genes; may be empty
};

/// The non-zero entries of consecutive cells. Entries of a cell are sorted by feature, without repeats.
struct CellBlock {
  std::uint64_t first_cell = 0;
  std::vector<std::uint64_t> offsets;  ///< cells + 1; entries of cell i: offsets[i] .. offsets[i+1]
  std::vector<std::uint32_t> feature;  ///< feature index in MatrixSource::features()
  std::vector<float> value;            ///< as in the file: counts or normalised values; never zero
  std::uint64_t cells() const { return offsets.empty() ? 0 : offsets.size() - 1; }
};

/// One opened matrix. Not thread-safe (HDF5 is not). Errors: DataError naming file and place.
///
/// What is true of every container: explicit zeros are dropped; entries of a cell are sorted; an entry that
/// occurs more than once is summed, as scipy and R's Matrix do; negative values are kept (`prepare` decides);
/// NaN and infinities, indices out of range, and offsets that do not ascend are errors.
class MatrixSource {
 public:
  virtual ~MatrixSource() = default;

  const std::vector<Feature>& features() const { return features_; }
  const std::vector<std::string>& barcodes() const { return barcodes_; }
  /// What was recognised, for the log: "10x HDF5 (v3, Gene Expression + Peaks)", "CSV, genes in rows".
  const std::string& description() const { return description_; }
  /// Non-zero entries in the whole file, 0 where the container does not say.
  std::uint64_t nonzeros() const { return nonzeros_; }

  /// Cells first .. last-1, all feature types. Files that cannot be read by slices (Matrix Market, CSV,
  /// CSC) are read whole on the first call and kept.
  virtual CellBlock read_cells(std::uint64_t first, std::uint64_t last) = 0;

 protected:
  std::vector<Feature> features_;
  std::vector<std::string> barcodes_;
  std::string description_;
  std::uint64_t nonzeros_ = 0;
};

enum class Modality { rna, atac };

struct MatrixOptions {
  std::string layer = {};             ///< .h5ad/.h5mu: name of a layer; empty: X
  Modality modality = Modality::rna;  ///< .h5mu: which modality; a text matrix has one type of feature: this
                                      ///< (peaks are also recognised by their names)
  /// Gene symbols to hold row and column names of a text matrix against (those of the annotation, say), in
  /// any case. Optional: without them names that look like genes, peaks or barcodes decide.
  std::vector<std::string> known_genes = {};
};

/// Opens 10x .h5 (multiome and gene-only, v2 and v3), a 10x Matrix Market folder (plain or gz, also by the
/// path of its matrix.mtx), .h5ad, .h5mu, .csv/.tsv[.gz]/.txt[.gz]; recognised by content, not by name.
/// Where an .h5ad or .h5mu is indexed by Ensembl ids, Feature::name is taken from the first of the columns
/// gene_symbols, gene_symbol, gene_name, gene_names, feature_name, symbol, name that is there.
/// The orientation of a text matrix is detected and said in description(): by peak names, then by
/// `known_genes`, then by what looks like barcodes and genes; genes in rows when nothing tells.
std::unique_ptr<MatrixSource> open_matrix(const std::filesystem::path& file,
                                          const MatrixOptions& options = {});

}  // namespace mgrn::formats
