// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/leak.hpp"

#include <algorithm>

#include "multigrnformer/base/symbol.hpp"

namespace mgrn::pairs {

namespace {

// A tab cannot stand inside a symbol: it separates fields in the files that symbols come from.
std::string key_of(const std::string& tf, const std::string& gene) {
  return base::symbol_key(tf) + '\t' + base::symbol_key(gene);
}

}  // namespace

void PairKeys::insert(const std::string& tf, const std::string& gene) {
  keys_.insert(key_of(tf, gene));
}

bool PairKeys::contains(const std::string& tf, const std::string& gene) const {
  return keys_.find(key_of(tf, gene)) != keys_.end();
}

PairKeys pair_keys(const store::DatasetHeader& dataset, const Split& split, Set set) {
  PairKeys keys;
  for (const LabelledPair& pair : split.pairs) {
    if (pair.set == set) {
      keys.insert(dataset.genes.at(pair.tf), dataset.genes.at(pair.gene));
    }
  }
  return keys;
}

std::uint64_t remove_pairs(Split& split, const store::DatasetHeader& dataset, const PairKeys& keys) {
  const auto removed = std::erase_if(split.pairs, [&](const LabelledPair& pair) {
    return pair.set != Set::test && keys.contains(dataset.genes.at(pair.tf), dataset.genes.at(pair.gene));
  });
  if (removed > 0) {
    split.notes.push_back(
        std::to_string(removed) +
        " training and validation pairs were taken out: they are test pairs of the target.");
  }
  return removed;
}

}  // namespace mgrn::pairs
