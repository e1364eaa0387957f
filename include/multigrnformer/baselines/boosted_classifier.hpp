// SPDX-License-Identifier: Apache-2.0
// Gradient-boosted trees for two classes on a few dense features: logistic loss, Newton steps, histograms of
// at most 255 bins, trees grown best leaf first. Same algorithm, defaults and rounding as scikit-learn's
// HistGradientBoostingClassifier (Ke et al., LightGBM, 2017; Friedman, doi 10.1214/aos/1013203451) without
// missing values, so that its results can be held against that one's. One thread, no random numbers: equal
// input gives equal bits. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mgrn::baselines {

struct BoostingOptions {
  int rounds = 100;
  double learning_rate = 0.1;
  int leaves = 31;          ///< of a tree, at most
  int samples_a_leaf = 20;  ///< at least
};

class BoostedClassifier {
 public:
  /// `features` [samples, columns] row-major, finite; `labels` 0 or 1, both present. Throws InternalError for
  /// sizes that do not fit, NumericError for a feature that is not finite, DataError for one class only.
  BoostedClassifier(std::span<const double> features, std::span<const std::uint8_t> labels,
                    std::size_t columns, const BoostingOptions& options = {});

  /// Log odds of class 1; `features` has `columns` values.
  double log_odds(std::span<const double> features) const;
  /// 1 / (1 + exp(-log_odds)).
  double probability(std::span<const double> features) const;
  std::size_t trees() const { return first_.size() - 1; }

 private:
  struct Node {
    std::uint32_t column = 0;
    double threshold = 0;    ///< at most this: to the left
    std::uint32_t left = 0;  ///< 0: a leaf
    std::uint32_t right = 0;
    double value = 0;  ///< of a leaf, learning rate included
  };
  class Grower;

  std::size_t columns_;
  double start_ = 0;
  std::vector<Node> nodes_;
  std::vector<std::size_t> first_{0};  ///< first node of each tree, its root; and one behind the last
};

}  // namespace mgrn::baselines
