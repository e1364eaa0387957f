// SPDX-License-Identifier: Apache-2.0
// Cells: latent TF activities, rates of genes and peaks, counts. A cell is a function of the seed and its
// number, so cells may be made in any order and in blocks of any size.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "genome.hpp"
#include "multigrnformer/formats/matrix_source.hpp"
#include "multigrnformer/simulate/settings.hpp"
#include "rules.hpp"

namespace mgrn::simulate {

enum class CellQuality : std::uint8_t { good, low, doublet };

/// What a cell is before anything is measured.
struct CellIdentity {
  std::uint32_t state = 0;         ///< of a doublet: its first cell's
  std::uint32_t second_state = 0;  ///< of a doublet's second cell
  CellQuality quality = CellQuality::good;
};

class CellGenerator {
 public:
  /// `settings` resolved; genome and rules must outlive the generator. One thread uses a generator.
  CellGenerator(const Settings& settings, const Genome& genome, const Rules& rules);

  CellIdentity identity(std::uint64_t cell) const;
  /// Appends the cell's counts: genes, then peaks (feature = genes + peak).
  void append(std::uint64_t cell, formats::CellBlock& block);
  /// Non-zero RNA entries appended so far.
  std::uint64_t rna_entries() const { return rna_entries_; }
  std::uint64_t atac_entries() const { return atac_entries_; }

 private:
  struct Edge {  // a rule as the inner loop needs it
    std::uint32_t tf;
    std::uint32_t first_peak;  // into edge_peaks_
    std::uint32_t last_peak;
    double effect;   // signed log fold change per unit of activity
    double opening;  // the same of its peaks
  };

  // Adds the rates of one cell of `state` to rna_rate_ and atac_rate_.
  void add_rates(std::uint64_t cell, std::uint32_t state, std::uint32_t which, bool damaged);
  void draw_counts(std::uint64_t cell, formats::CellBlock& block);

  const Settings settings_;
  const Genome& genome_;
  const Rules& rules_;
  std::vector<double> state_until_;                  // cumulated state shares
  std::vector<std::vector<double>> peak_rate_;       // [state][peak], sums to 1
  std::vector<Edge> edges_;                          // sorted by gene
  std::vector<std::vector<double>> state_openness_;  // [state][edge]: mean deviation of the edge's peaks
  std::vector<std::uint32_t> gene_edges_;            // regulated genes + 1
  std::vector<std::uint32_t> edge_peaks_;            // numbers of bound peaks
  std::vector<std::uint32_t> bound_;                 // bound peak -> peak
  std::vector<double> mitochondrial_share_;          // of each mitochondrial gene, sums to 1
  std::vector<double> activity_;                     // per TF
  std::vector<double> opening_;                      // per bound peak: log fold change
  std::vector<double> level_;                        // per regulated gene: log rate
  std::vector<double> rna_rate_;
  std::vector<double> atac_rate_;
  std::uint64_t rna_entries_ = 0;
  std::uint64_t atac_entries_ = 0;
};

/// Sixteen letters and "-1", different for every cell of a dataset.
std::string barcode(std::uint64_t seed, std::uint64_t cell);

}  // namespace mgrn::simulate
