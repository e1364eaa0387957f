// SPDX-License-Identifier: Apache-2.0
// Networks for the tests of this room: random ones, and BEELINE's of the real data.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/formats/network_file.hpp"
#include "multigrnformer/formats/table.hpp"
#include "multigrnformer/pairs/gene_set.hpp"
#include "multigrnformer/pairs/split.hpp"

namespace mgrn::pairs::test {

/// A header with nothing but genes, sorted by symbol key as in a dataset file.
inline store::DatasetHeader header_of(std::vector<std::string> genes) {
  std::sort(genes.begin(), genes.end(), [](const std::string& a, const std::string& b) {
    return base::symbol_key(a) < base::symbol_key(b);
  });
  store::DatasetHeader header;
  header.id = "0123456789abcdef";
  header.genes = std::move(genes);
  header.variance.assign(header.genes.size(), 0.0);
  header.vst.assign(header.genes.size(), 0.0);
  return header;
}

struct Case {
  store::DatasetHeader dataset;
  formats::NetworkFile network;
  std::vector<std::string> tf_list;
  RestrictedNetwork restricted() const {
    return restrict_network(dataset, network, tf_list, {.variable_genes = -1, .ranking = {}});
  }
};

/// `tfs` TFs with out-degrees of very unequal size and genes of unequal in-degree.
inline Case random_case(std::uint32_t tfs, std::uint32_t genes, std::uint32_t edges, std::uint64_t seed) {
  base::PhiloxStream random(seed, 99);
  std::vector<std::string> symbols;
  for (std::uint32_t i = 0; i < genes; ++i) {
    symbols.push_back((i < tfs ? "Tf" : "gene") + std::to_string(1000 + i));
  }
  Case result;
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  while (seen.size() < edges) {
    const double u = random.uniform();
    const double v = random.uniform();
    const auto tf = static_cast<std::uint32_t>(u * u * tfs);
    const auto gene = static_cast<std::uint32_t>(v * std::sqrt(std::sqrt(v)) * genes);
    if (tf != gene && seen.emplace(tf, gene).second) {
      result.network.edges.push_back({symbols[tf], symbols[gene]});
    }
  }
  result.tf_list.assign(symbols.begin(), symbols.begin() + tfs);
  result.dataset = header_of(symbols);
  return result;
}

/// One of labels/NAME of the real data: a TFs+1000 set with its restricted network and TFs.
inline Case label_case(const std::filesystem::path& folder) {
  Case result;
  const auto target = formats::Table::read(folder / "Target.csv.gz");
  const auto& symbols = target.column("Gene");
  const auto tf = formats::Table::read(folder / "TF.csv.gz");
  const auto label = formats::Table::read(folder / "Label.csv.gz");
  const auto from = label.numbers("TF");
  const auto to = label.numbers("Target");
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] != to[i]) {
      result.network.edges.push_back(
          {symbols.at(static_cast<std::size_t>(from[i])), symbols.at(static_cast<std::size_t>(to[i]))});
    }
  }
  result.tf_list = tf.column("TF");
  result.dataset = header_of(symbols);
  return result;
}

/// Mann-Whitney, ties by half.
inline double auroc_of(const std::vector<std::pair<double, std::uint8_t>>& scored) {
  auto sorted = scored;
  std::sort(sorted.begin(), sorted.end());
  double wins = 0;
  double negatives_below = 0;
  double positives = 0;
  for (std::size_t i = 0; i < sorted.size();) {
    double tied_positives = 0;
    double tied_negatives = 0;
    const double score = sorted[i].first;
    for (; i < sorted.size() && sorted[i].first == score; ++i) {
      (sorted[i].second == 1 ? tied_positives : tied_negatives) += 1;
    }
    wins += tied_positives * (negatives_below + tied_negatives / 2);
    negatives_below += tied_negatives;
    positives += tied_positives;
  }
  return wins / (positives * negatives_below);
}

/// AUROC over the test pairs of (1 + out-degree)(1 + in-degree) among the other positives.
inline double degree_only_auroc(const Split& split, std::size_t genes) {
  std::vector<double> out(genes, 1), in(genes, 1);
  for (const LabelledPair& pair : split.pairs) {
    if (pair.set != Set::test && pair.label == 1) {
      ++out[pair.tf];
      ++in[pair.gene];
    }
  }
  std::vector<std::pair<double, std::uint8_t>> scored;
  for (const LabelledPair& pair : split.pairs) {
    if (pair.set == Set::test) {
      scored.emplace_back(out[pair.tf] * in[pair.gene], pair.label);
    }
  }
  return auroc_of(scored);
}

inline std::uint64_t count_of(const Split& split, Set set, int label) {
  return static_cast<std::uint64_t>(
      std::count_if(split.pairs.begin(), split.pairs.end(),
                    [&](const LabelledPair& pair) { return pair.set == set && pair.label == label; }));
}

/// The split by symbols: comparable between datasets that number their genes differently.
inline std::vector<std::string> named(const Split& split, const store::DatasetHeader& dataset) {
  std::vector<std::string> lines;
  for (const LabelledPair& pair : split.pairs) {
    lines.push_back(dataset.genes.at(pair.tf) + ',' + dataset.genes.at(pair.gene) + ',' +
                    std::to_string(pair.label) + ',' + std::to_string(static_cast<int>(pair.set)));
  }
  return lines;
}

}  // namespace mgrn::pairs::test
