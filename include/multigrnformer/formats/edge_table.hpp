// SPDX-License-Identifier: Apache-2.0
// Predicted networks: edges with weights, as BEELINE, arboreto and graph viewers read them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mgrn::formats {

/// An edge from genes[tf] to genes[gene] of an EdgeTable.
struct WeightedEdge {
  std::uint32_t tf = 0;
  std::uint32_t gene = 0;
  double weight = 0;
};

struct EdgeTable {
  std::vector<std::string> genes;  ///< names, each once
  std::vector<WeightedEdge> edges;
};

/// Best first: |weight| descending, ties by the names of TF and target; so the order of a file never
/// depends on how the edges were computed.
void sort_edges(EdgeTable& table);

/// BEELINE's rankedEdges.csv: TAB-separated in spite of its name, header Gene1 Gene2 EdgeWeight, in the
/// order given (see sort_edges). Atomic. A name with a tab or line end, or a non-finite weight, is an
/// InternalError.
void write_ranked_edges(const std::filesystem::path& file, const EdgeTable& table);
/// arboreto's (GENIE3, GRNBoost2) TSV: header TF target importance.
void write_arboreto(const std::filesystem::path& file, const EdgeTable& table);
/// GraphML for Cytoscape, Gephi, igraph: directed, node ids are the names, edge attribute "weight". Genes
/// without an edge are left out.
void write_graphml(const std::filesystem::path& file, const EdgeTable& table);

/// Any tool's ranked edges: three or more columns (TF, target, weight), CSV or TSV by content, plain or
/// gzip. The first line is a header unless its third field is a number; a header that names the columns
/// (Gene1/TF/regulator/source/from, Gene2/target/to/gene, EdgeWeight/importance/weight/score) may have them
/// anywhere. Repeats are kept, in file order. Throws DataError; an empty table is one.
EdgeTable read_ranked_edges(const std::filesystem::path& file);

}  // namespace mgrn::formats
