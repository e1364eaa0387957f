// SPDX-License-Identifier: Apache-2.0
// Which features and which cells stay. Pure functions of statistics that are the same on every rank, so every
// rank reaches the same verdict without asking the others.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/base/json_fwd.hpp"
#include "multigrnformer/prepare/settings.hpp"

namespace mgrn::prepare {

/// One cell's figures over the features that stay.
struct CellStatistics {
  double rna_counts = 0.0;
  double mito_counts = 0.0;  ///< part of rna_counts
  double atac_counts = 0.0;
  double blacklist_counts = 0.0;  ///< part of atac_counts
  std::int64_t genes = 0;         ///< detected, that is non-zero
  std::int64_t peaks = 0;
};

/// One measure's limits and what they dropped. A cell may fall to several measures.
struct Limit {
  std::string
      measure;  ///< "RNA counts", "ATAC counts", "mitochondrial share", "detected genes", "blacklist share"
  bool logged = false;  ///< median, mad, low and high are of log10
  double median = 0.0;
  double mad = 0.0;  ///< scaled by 1.4826; 0 where the rule does not use it
  double low = 0.0;  ///< inclusive limits, -inf and inf where there is none
  double high = 0.0;
  bool applied = true;  ///< false: MAD was 0, so the measure has no scale and was left out
  std::uint64_t below = 0;
  std::uint64_t above = 0;
};

struct CellQuality {
  std::vector<std::uint8_t> keep;  ///< per cell 0 or 1
  std::uint64_t few_genes = 0;     ///< dropped for less than the minimal share of non-zero genes
  std::uint64_t few_peaks = 0;     ///< the same for peaks (a cell may be in both)
  std::uint64_t few_values = 0;    ///< cells dropped by either
  std::uint64_t by_rule = 0;       ///< cells dropped by the rule, each once
  std::uint64_t kept = 0;
  std::vector<Limit> limits;
};

/// The middle of the values, the mean of the two middle ones for an even number; 0 for none.
double median(std::vector<double> values);

/// The least number of non-zero values that reaches `share` of `total`.
std::int64_t least_values(std::uint64_t total, double share);

/// Per feature 1 where it has values in at least `share` of the cells.
std::vector<std::uint8_t> frequent_features(std::span<const std::int64_t> cells_with_value,
                                            std::uint64_t cells, double share);

/// Drops cells with too few values, then applies the rule once to those left. `genes` and `peaks` are the
/// numbers of features that stay; `peaks` = 0: RNA only.
CellQuality judge_cells(std::span<const CellStatistics> cells, std::uint64_t genes, std::uint64_t peaks,
                        bool has_blacklist, const Settings& settings);

/// Whether a symbol starts with one of the prefixes, ignoring case.
bool is_mitochondrial(const std::string& symbol, const std::vector<std::string>& prefixes);

/// For the dataset's quality record.
base::Json limit_json(const Limit& limit);

}  // namespace mgrn::prepare
