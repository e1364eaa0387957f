// SPDX-License-Identifier: Apache-2.0
#include "boosted_pairs.hpp"

#include <algorithm>
#include <utility>

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/baselines/boosted_classifier.hpp"

namespace mgrn::baselines {
namespace {

/// Features of the genes that are loaded, by gene.
class FeatureTable {
 public:
  FeatureTable(const std::vector<std::uint32_t>& genes, GeneFeatures features)
      : genes_(genes), features_(std::move(features)) {}

  std::size_t pair_columns() const { return 2 * features_.columns; }
  void append(std::uint32_t tf, std::uint32_t gene, std::vector<double>& row) const {
    for (const std::uint32_t which : {tf, gene}) {
      const auto place = std::lower_bound(genes_.begin(), genes_.end(), which) - genes_.begin();
      const auto first = features_.values.begin() + place * static_cast<std::ptrdiff_t>(features_.columns);
      row.insert(row.end(), first, first + static_cast<std::ptrdiff_t>(features_.columns));
    }
  }

 private:
  const std::vector<std::uint32_t>& genes_;
  GeneFeatures features_;
};

BoostedClassifier learn(const Problem& problem, const FeatureTable& table) {
  std::vector<double> features;
  std::vector<std::uint8_t> labels;
  for (const auto& pair : problem.split.pairs) {
    if (pair.set != pairs::Set::test) {
      table.append(pair.tf, pair.gene, features);
      labels.push_back(pair.label);
    }
  }
  return BoostedClassifier(features, labels, table.pair_columns(),
                           {.rounds = problem.options.boosting_rounds});
}

class BoostedPairScorer : public PairScorer {
 public:
  BoostedPairScorer(const Problem& problem, GeneFeatures features)
      : table_(problem.expression.genes(), std::move(features)), classifier_(learn(problem, table_)) {}

  double score(std::uint32_t tf, std::uint32_t gene) const override {
    std::vector<double> row;
    row.reserve(table_.pair_columns());
    table_.append(tf, gene, row);
    return classifier_.probability(row);
  }
  base::Json facts() const override {
    return {{"boosting_rounds", classifier_.trees()}, {"features", table_.pair_columns()}};
  }

 private:
  FeatureTable table_;
  BoostedClassifier classifier_;
};

}  // namespace

std::unique_ptr<PairScorer> learn_pairs(const Problem& problem, GeneFeatures features) {
  return std::make_unique<BoostedPairScorer>(problem, std::move(features));
}

}  // namespace mgrn::baselines
