// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/gene_set.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/symbol.hpp"

namespace mgrn::pairs {

namespace {

void sort_unique(std::vector<std::uint32_t>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

/// The `count` highest-ranking genes among those that `wanted` allows.
std::vector<std::uint32_t> most_variable(const std::vector<double>& ranking, std::int64_t count,
                                         const std::vector<char>& wanted) {
  std::vector<std::uint32_t> order;
  for (std::uint32_t gene = 0; gene < ranking.size(); ++gene) {
    if (wanted[gene] != 0) {
      order.push_back(gene);
    }
  }
  const auto value = [&](std::uint32_t gene) {
    return std::isnan(ranking[gene]) ? -std::numeric_limits<double>::infinity() : ranking[gene];
  };
  // Genes are sorted by symbol, so the index breaks ties the same way in every dataset.
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return value(a) != value(b) ? value(a) > value(b) : a < b;
  });
  order.resize(std::min(order.size(), static_cast<std::size_t>(count)));
  return order;
}

std::vector<std::uint32_t> gene_set(const store::DatasetHeader& dataset,
                                    const std::vector<std::uint32_t>& tf_list,
                                    const GeneSetOptions& options) {
  if (options.variable_genes < 0) {
    std::vector<std::uint32_t> all(dataset.genes.size());
    std::iota(all.begin(), all.end(), 0u);
    return all;
  }
  const auto& ranking = options.ranking == VariableGenes::vst ? dataset.vst : dataset.variance;
  if (ranking.size() != dataset.genes.size()) {
    throw base::DataError({.what = "the dataset has no ranking of its genes by variability",
                           .expected = std::to_string(dataset.genes.size()) + " values",
                           .got = std::to_string(ranking.size()),
                           .hint = "Prepare the dataset again, or set data.genes to all."});
  }
  std::vector<char> wanted(dataset.genes.size(), 1);
  if (options.ranking == VariableGenes::beeline) {
    for (const std::uint32_t tf : tf_list) {
      wanted[tf] = 0;
    }
  }
  std::vector<std::uint32_t> chosen = most_variable(ranking, options.variable_genes, wanted);
  chosen.insert(chosen.end(), tf_list.begin(), tf_list.end());
  sort_unique(chosen);
  return chosen;
}

}  // namespace

double RestrictedNetwork::density() const {
  return edges.empty() ? 0.0
                       : static_cast<double>(edges.size()) /
                             (static_cast<double>(tfs.size()) * static_cast<double>(genes.size()));
}

RestrictedNetwork restrict_network(const store::DatasetHeader& dataset, const formats::NetworkFile& network,
                                   const std::vector<std::string>& tf_list, const GeneSetOptions& options) {
  if (options.variable_genes < -1) {
    throw base::UsageError({.what = "illegal number of variable genes",
                            .file = "data.genes",
                            .expected = "0 or more, or all",
                            .got = std::to_string(options.variable_genes),
                            .hint = "Set data.genes to 500, 1000 or all."});
  }
  std::unordered_map<std::string, std::uint32_t> index;
  for (std::uint32_t gene = 0; gene < dataset.genes.size(); ++gene) {
    index.emplace(base::symbol_key(dataset.genes[gene]), gene);
  }

  RestrictedNetwork result;
  std::unordered_set<std::string> listed;
  for (const std::string& symbol : tf_list) {
    const std::string key = base::symbol_key(symbol);
    if (listed.insert(key).second) {
      if (const auto found = index.find(key); found != index.end()) {
        result.tf_list.push_back(found->second);
      }
    }
  }
  result.tf_list_symbols = listed.size();
  sort_unique(result.tf_list);
  if (result.tf_list.empty() && !listed.empty()) {
    throw base::DataError(
        {.what = "no transcription factor of the list is in the dataset",
         .expected = "symbols such as " + (dataset.genes.empty() ? "-" : dataset.genes.front()),
         .got = "0 of " + std::to_string(listed.size()) + " matched" +
                (tf_list.empty() ? "" : ", such as " + tf_list.front()),
         .hint = "Check that data.tfs is a list of gene symbols of the dataset's species."});
  }
  result.candidates = gene_set(dataset, result.tf_list, options);
  std::vector<char> candidate(dataset.genes.size(), 0);
  for (const std::uint32_t gene : result.candidates) {
    candidate[gene] = 1;
  }

  std::unordered_set<std::string> seen;
  const auto find = [&](const std::string& symbol) -> std::int64_t {
    const std::string key = base::symbol_key(symbol);
    const auto found = index.find(key);
    if (seen.insert(key).second && found != index.end()) {
      ++result.matched_symbols;
    }
    return found == index.end() ? -1 : static_cast<std::int64_t>(found->second);
  };
  for (const formats::NamedEdge& edge : network.edges) {
    const std::int64_t tf = find(edge.tf);
    const std::int64_t gene = find(edge.gene);
    if (tf < 0 || gene < 0 || candidate[static_cast<std::size_t>(tf)] == 0 ||
        candidate[static_cast<std::size_t>(gene)] == 0) {
      ++result.unknown_edges;
    } else if (tf != gene) {
      result.edges.push_back({static_cast<std::uint32_t>(tf), static_cast<std::uint32_t>(gene)});
    }
  }
  result.network_symbols = seen.size();
  std::sort(result.edges.begin(), result.edges.end());
  result.edges.erase(std::unique(result.edges.begin(), result.edges.end()), result.edges.end());
  if (result.edges.empty()) {
    throw base::DataError(
        {.what = "no edge of the network lies within the dataset's gene set",
         .expected = "edges whose TF and gene are both among the " +
                     std::to_string(result.candidates.size()) + " genes of the gene set",
         .got = std::to_string(result.matched_symbols) + " of the network's " +
                std::to_string(result.network_symbols) + " symbols and " +
                std::to_string(result.tf_list.size()) + " of the " + std::to_string(result.tf_list_symbols) +
                " listed TFs are in the dataset",
         .hint = "Check that network, TF list and dataset are of one species and use gene symbols, or raise "
                 "data.genes."});
  }
  for (const Edge& edge : result.edges) {
    result.tfs.push_back(edge.tf);
    result.genes.push_back(edge.tf);
    result.genes.push_back(edge.gene);
  }
  sort_unique(result.tfs);
  sort_unique(result.genes);
  return result;
}

}  // namespace mgrn::pairs
