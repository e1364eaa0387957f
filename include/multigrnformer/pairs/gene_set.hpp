// SPDX-License-Identifier: Apache-2.0
// Which genes and which edges of a network take part: "TFs+K", restricted to the ground truth.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "multigrnformer/formats/network_file.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::pairs {

enum class VariableGenes { variance, vst, beeline };

struct GeneSetOptions {
  std::int64_t variable_genes = 500;  ///< K of "TFs+K"; -1: all genes
  VariableGenes ranking = VariableGenes::variance;
};

/// An edge as indices into the dataset's genes.
struct Edge {
  std::uint32_t tf = 0;
  std::uint32_t gene = 0;
  auto operator<=>(const Edge&) const = default;
};

/// Table 1's row and what it is made of. All gene numbers are indices into the dataset's genes.
struct RestrictedNetwork {
  std::vector<std::uint32_t> candidates;  ///< the gene set TFs+K, ascending
  std::vector<std::uint32_t> tf_list;     ///< TFs of the list that are in the dataset, ascending
  std::vector<std::uint32_t> tfs;         ///< N_TF: occur as regulator in `edges`, ascending
  std::vector<std::uint32_t> genes;       ///< N_gene: occur in `edges` at all, ascending
  std::vector<Edge> edges;                ///< sorted
  std::uint64_t unknown_edges = 0;        ///< of the file, an end outside the gene set
  std::uint64_t matched_symbols = 0;      ///< symbols of the network found in the dataset
  std::uint64_t network_symbols = 0;      ///< distinct symbols of the network
  std::uint64_t tf_list_symbols = 0;      ///< distinct symbols of the TF list
  double density() const;                 ///< |E| / (N_TF N_gene); 0 without edges
};

/// The gene set is the union of all TFs of the list and the K genes that rank highest (ties: by symbol); with
/// `beeline` the K highest that are not TFs. Names match ignoring case; a network's regulator need not be in
/// the TF list. Independent of the order of edges and TFs. Throws DataError when no edge has both ends in the
/// gene set, with counts of what matched, and when the dataset lacks the ranking; UsageError for a K below
/// -1.
RestrictedNetwork restrict_network(const store::DatasetHeader& dataset, const formats::NetworkFile& network,
                                   const std::vector<std::string>& tf_list, const GeneSetOptions& options);

}  // namespace mgrn::pairs
