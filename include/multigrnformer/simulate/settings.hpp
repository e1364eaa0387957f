// SPDX-License-Identifier: Apache-2.0
// Everything a user may choose about a simulated multiome dataset. Values are plain numbers with units in
// their comments; what each means biologically, and why it has its default, stands in docs/simulation.md.
// Defaults were fixed by that reasoning, before anything was trained on the data.
#pragma once

#include <cstdint>

#include "multigrnformer/base/json_fwd.hpp"

namespace mgrn::simulate {

/// Spelling of symbols, chromosomes and mitochondrial genes.
enum class Organism {
  human,  ///< TF0001, GENE00001, MT-ND1; chr1 .. chr22
  mouse,  ///< Tf0001, Gene00001, mt-Nd1; chr1 .. chr19
};

/// Which rules network.csv lists.
enum class ListedNetwork {
  own,     ///< those that this dataset's cells obey
  shared,  ///< those of rules_seed alone, whatever part of them the cells obey: a public network of no tissue
};

struct Settings {
  // Size
  std::uint64_t cells = 1500;
  std::uint64_t genes = 400;   ///< gene features in all: TFs, target genes and up to 13 mitochondrial genes
  std::uint64_t peaks = 3000;  ///< at least one per gene, or 0 for a file without ATAC
  std::uint64_t tfs = 40;
  Organism organism = Organism::human;

  // Seeds: equal settings give equal bytes.
  std::uint64_t seed = 1;        ///< cells, states, batch effects, counts; rules too where not shared
  std::uint64_t rules_seed = 0;  ///< genes, peaks, edges, signs, weights; 0: the same as `seed`
  double shared_rules =
      1.0;  ///< share of TF-gene pairs whose rule comes from rules_seed, the others' from seed

  // Network
  ListedNetwork network = ListedNetwork::own;
  double density = 0.05;         ///< edges / (TFs x genes that are not mitochondrial)
  double activator_share = 0.8;  ///< edges with positive sign
  double pioneer_share = 0.3;    ///< TFs that open the chromatin they bind; the others do so three times less

  // Effects
  double regulation = 1.0;     ///< scale of the TFs' effect on their targets; 0: none
  double accessibility = 1.0;  ///< scale of chromatin's part: TF -> peak, peak -> gene; 0: none
  double batch = 0.3;          ///< SD of this dataset's own log factor per gene and per peak; 0: none

  // Cells
  std::uint64_t states = 4;     ///< cell types
  double state_activity = 0.6;  ///< SD of a TF's activity between states
  double cell_activity = 1.0;   ///< SD of a TF's activity between cells of one state
  double low_quality =
      0.03;  ///< share of damaged cells: a fifth of the depth, five times the mitochondrial share
  double doublets = 0.0;  ///< share of barcodes that hold two cells

  // Measurement
  double rna_counts = 0.0;    ///< median UMIs per cell; 0: 2 per gene, at most 6,000
  double atac_counts = 0.0;   ///< median counts in peaks per cell; 0: 0.08 per peak
  double depth_spread = 0.4;  ///< SD of the cells' log depth
  double dispersion =
      0.2;  ///< of the negative binomial counts (variance = mean + dispersion mean^2); 0: Poisson
  double dropout = 0.0;  ///< share of non-zero RNA entries lost in addition to low depth
};

/// Throws UsageError that names the key (`simulate.cells`, ...) and what is legal.
void check(const Settings& settings);

/// All settings by key, with the 0 = automatic ones resolved; for truth.json.
base::Json to_json(const Settings& given);

/// The settings with every automatic value filled in.
Settings resolve(Settings settings);

}  // namespace mgrn::simulate
