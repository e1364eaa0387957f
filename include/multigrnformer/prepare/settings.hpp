// SPDX-License-Identifier: Apache-2.0
// What `prepare` is told: which files, which quality control, which transformation. Plain values with the
// defaults of the documentation; text forms for the command line and the dataset file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "multigrnformer/base/json_fwd.hpp"

namespace mgrn::prepare {

/// How cells are judged after features and cells with too few values are gone.
enum class QcRule {
  mad,  ///< more than `mads` MADs from the median: log10 RNA counts, log10 ATAC counts, mitochondrial ratio
  mad_linear,  ///< the same on unlogged counts
  bounds,      ///< fixed cut-offs
  none,
};

enum class RnaNormalisation {
  lognorm_z,  ///< counts to 10,000 per cell, log1p, z-score per gene, clip
  lognorm,    ///< counts to 10,000 per cell, log1p
  log10p01,   ///< log10(x + 0.01) of the values as given
  z,          ///< z-score per gene of values that are logged already, clip
  none,       ///< values as given
};

enum class RpNormalisation {
  binary_rowsum_z,  ///< RP of binary peaks, each gene's row divided by its sum, z-score, clip
  counts,           ///< RP of peak counts as it comes
  log1p,            ///< ln(1 + RP of peak counts)
};

/// Cut-offs of QcRule::bounds, inclusive.
struct Bounds {
  double min_rna_counts = 0.0;
  double max_rna_counts = std::numeric_limits<double>::infinity();
  double min_genes = 200.0;  ///< detected genes of a cell
  double max_genes = std::numeric_limits<double>::infinity();
  double min_atac_counts = 0.0;
  double max_atac_counts = std::numeric_limits<double>::infinity();
  double max_mito = 0.2;  ///< share of RNA counts in mitochondrial genes
};

struct Settings {
  std::filesystem::path rna;   ///< needed; a multiome file serves as both
  std::filesystem::path atac;  ///< empty: the peaks of `rna`, where it has any and `annotation` is given
  std::filesystem::path annotation;  ///< GTF or refGene table
  std::filesystem::path blacklist;   ///< BED; empty: no blacklist rule
  std::filesystem::path barcodes;    ///< keep only the cells of this list; empty: all
  std::filesystem::path out;         ///< the dataset file, needed
  std::string layer;                 ///< .h5ad/.h5mu: name of the layer; empty: X

  QcRule qc = QcRule::mad;
  double mads = 3.0;                  ///< MADs are scaled by 1.4826, so that they estimate an SD
  double min_feature_share = 0.001;   ///< a feature with values in fewer cells than this share is dropped
  double min_cell_share = 0.001;      ///< a cell with values in fewer features than this share is dropped
  double max_blacklist_share = 0.05;  ///< of a cell's ATAC counts; needs `blacklist`; not with QcRule::none
  Bounds bounds;
  std::vector<std::string> mito_prefixes = {"MT-"};  ///< gene symbols, compared ignoring case

  RnaNormalisation rna_normalisation = RnaNormalisation::lognorm_z;
  RpNormalisation rp_normalisation = RpNormalisation::binary_rowsum_z;
  double clip = 10.0;             ///< z-scores are cut at +-clip; 0: never
  double decay = 10000.0;         ///< bp at which a peak's weight has halved; the range is 15 times this
  double exon_cap = 0.0;          ///< largest exon weight (1 / exon length in kb); 0: no cap
  std::uint64_t block_genes = 0;  ///< genes that travel together; 0: by memory. Never changes a result.
};

/// Every value of an enumeration with its word, as on the command line and in the dataset file.
template <typename Value>
using Words = std::vector<std::pair<std::string, Value>>;
const Words<QcRule>& qc_rules();
const Words<RnaNormalisation>& rna_normalisations();
const Words<RpNormalisation>& rp_normalisations();
std::string to_text(QcRule rule);
std::string to_text(RnaNormalisation normalisation);
std::string to_text(RpNormalisation normalisation);

/// Whether the stored values are clipped z-scores.
bool has_z_scores(RnaNormalisation normalisation);
bool has_z_scores(RpNormalisation normalisation);

/// Throws UsageError on values outside their range or on options that contradict each other.
void validate(const Settings& settings);

/// All that can change the dataset's content, and no path: what the dataset id is made of.
base::Json settings_json(const Settings& settings);

}  // namespace mgrn::prepare
