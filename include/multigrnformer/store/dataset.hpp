// SPDX-License-Identifier: Apache-2.0
// The dataset file: one prepared multiome sample, HDF5, gene-major. Written collectively once
// (DatasetWriter), opened read-only ever after (Dataset). Schema: docs/formats.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/base/json_fwd.hpp"
#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::store {

inline constexpr int kFormatMajor = 1;
inline constexpr int kFormatMinor = 0;

/// What is known of the whole dataset, but for the matrices.
struct DatasetHeader {
  std::string id;  ///< 16 hex digits; enters every sample's name. Content hash of settings + source digests
  std::vector<std::string> genes;  ///< symbols as in the source, sorted by symbol key; all genes that pass QC
  std::vector<std::string> barcodes;  ///< kept cells, in source order
  bool has_atac = false;
  /// Rankings for the choice of variable genes, one per gene: larger is more variable.
  std::vector<double> variance;  ///< variance of the log-normalised values
  std::vector<double> vst;       ///< Seurat v3's standardised variance
  /// Per gene the value that a cell without a stored entry has after normalisation.
  std::vector<float> rna_background;
  std::vector<float> rp_background;  ///< empty when RNA only
  /// JSON as text, for base::Json::parse.
  std::string settings = "{}";  ///< prepare's resolved options
  std::string sources = "{}";   ///< per input file: name, bytes, sha256, description
  std::string quality = "{}";   ///< QC table: what was dropped and why, medians
};

/// One gene's stored entries, ascending by cell.
struct GeneRow {
  std::vector<std::uint32_t> cell;
  std::vector<float> value;  ///< normalised (after z-score and clipping, where chosen)
  std::vector<float> count;  ///< RNA: the source's value (raw count); RP: empty
};

/// Entries of consecutive genes, as a writer hands them over.
struct GeneRows {
  std::uint64_t first_gene = 0;
  std::vector<std::uint64_t> offsets;  ///< genes + 1
  std::vector<std::uint32_t> cell;
  std::vector<float> value;
  std::vector<float> count;  ///< RNA only
};

enum class Layer { rna, rp };

/// Collective writer. The genes of a layer arrive in ascending blocks; in each call every rank hands over a
/// contiguous (possibly empty) run of genes, rank order = gene order. Compressed (deflate), checksummed,
/// durable and atomic: the file appears under its name only when finish() returns. An error of any rank is
/// thrown on every rank and leaves no file behind: OutputError (74) when it cannot be written, InternalError
/// for rows or headers that do not fit together. After an error the writer is of no more use.
class DatasetWriter {
 public:
  DatasetWriter(comm::Communicator& communicator, const std::filesystem::path& file);
  ~DatasetWriter();
  DatasetWriter(const DatasetWriter&) = delete;
  DatasetWriter& operator=(const DatasetWriter&) = delete;

  /// Collective.
  void append(Layer layer, const GeneRows& rows);
  /// Collective. The header must be the same on every rank; its gene count must match what was appended.
  void finish(const DatasetHeader& header);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A dataset file opened for reading, by one rank alone (no collective). Throws DataError for a missing,
/// truncated, corrupted or newer file.
class Dataset {
 public:
  explicit Dataset(const std::filesystem::path& file);
  ~Dataset();
  Dataset(const Dataset&) = delete;
  Dataset(Dataset&&) noexcept;
  Dataset& operator=(const Dataset&) = delete;
  Dataset& operator=(Dataset&&) noexcept;

  const DatasetHeader& header() const;
  const std::filesystem::path& file() const;
  std::uint64_t genes() const { return header().genes.size(); }
  std::uint64_t cells() const { return header().barcodes.size(); }
  std::uint64_t nonzeros(Layer layer) const;
  /// Stored entries of one gene without reading them.
  std::uint64_t nonzeros(Layer layer, std::uint32_t gene) const;
  GeneRow row(Layer layer, std::uint32_t gene) const;
  /// Many rows, in the order asked for (repeats allowed), read in ascending order with neighbours together,
  /// so that each chunk is decompressed once, whatever the order of `genes`.
  std::vector<GeneRow> rows(Layer layer, std::span<const std::uint32_t> genes) const;
  /// Index of a symbol (any case), -1 when absent.
  std::int64_t find_gene(const std::string& symbol) const;
  /// Reads everything and compares the stored checksums. Throws DataError naming the part that differs.
  /// (Opening checks all but the matrices; row() and rows() check what they read for plausibility.)
  void verify() const;
  /// The stored checksums by part ("rna/value", "genes", ..., eight hexadecimal digits each): equal for
  /// equal content, however many ranks wrote it.
  const base::Json& checksums() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mgrn::store
