// SPDX-License-Identifier: Apache-2.0
// Regulation: who regulates whom, how strongly, through which peaks, and the levels that genes and peaks have
// without it. A function of rules_seed where shared, of seed where the dataset has its own.
#pragma once

#include <cstdint>
#include <vector>

#include "genome.hpp"
#include "multigrnformer/simulate/settings.hpp"

namespace mgrn::simulate {

struct Rule {
  std::uint32_t tf = 0;
  std::uint32_t gene = 0;
  bool activates = true;
  double weight = 0.0;                    ///< log fold change of the target per unit of TF activity
  std::vector<std::uint32_t> peaks = {};  ///< through which it acts, ascending; empty without ATAC
};

struct Rules {
  std::vector<Rule> edges;          ///< that the cells obey, sorted by TF, then gene
  std::vector<Rule> listed;         ///< of network.csv; empty: the same (ListedNetwork::own)
  std::vector<double> opening;      ///< per TF: log fold change of a bound peak per unit of activity
  std::vector<bool> pioneer;        ///< per TF
  std::vector<double> gene_level;   ///< per gene: log rate, without state and regulation
  std::vector<double> peak_level;   ///< per peak: the same
  std::vector<double> state_share;  ///< per state: share of the cells
  std::vector<std::vector<double>> state_activity;  ///< [state][TF]: mean activity
  std::vector<std::vector<double>> state_gene;      ///< [state][gene]: deviation in log rate
  std::vector<std::vector<double>> state_peak;      ///< [state][peak]: the same
  std::vector<std::vector<double>>
      program_loading;  ///< [TF][program]: share in programs that TFs have in common
};

/// `settings` resolved.
Rules make_rules(const Settings& settings, const Genome& genome);

}  // namespace mgrn::simulate
