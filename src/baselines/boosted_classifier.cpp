// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/baselines/boosted_classifier.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "multigrnformer/base/error.hpp"

namespace mgrn::baselines {
namespace {

constexpr std::size_t kMostBins = 255;
constexpr double kLeastHessian = 1e-3;  // of a leaf
constexpr double kTiny = 1e-15;         // keeps a division by no hessian finite

/// Where a column is cut into bins: between all its values, or at its percentiles where it has too many.
std::vector<double> cuts_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  std::vector<double> distinct = values;
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<double> cuts;
  if (distinct.size() <= kMostBins) {
    for (std::size_t i = 1; i < distinct.size(); ++i) {
      cuts.push_back((distinct[i - 1] + distinct[i]) * 0.5);
    }
    return cuts;
  }
  for (std::size_t i = 1; i < kMostBins; ++i) {
    // Share i / 255 of the samples below; where that is a whole number, between the two that it parts.
    const std::size_t product = i * values.size();
    const std::size_t place = product / kMostBins;
    cuts.push_back(product % kMostBins == 0 ? (values[place - 1] + values[place]) * 0.5 : values[place]);
  }
  return cuts;
}

double newton_step(double gradient, double hessian) {
  return -gradient / (hessian + kTiny);
}

struct Bin {
  double gradient = 0;
  double hessian = 0;
  std::uint32_t count = 0;
};

struct Split {
  double gain = 0;  // 0: none is worth it
  std::uint32_t column = 0;
  std::uint32_t bin = 0;  // this one and those below go to the left
  Bin left;
};

}  // namespace

/// Grows one tree after another on the same binned samples.
class BoostedClassifier::Grower {
 public:
  Grower(std::span<const double> features, std::size_t columns, const BoostingOptions& options)
      : options_(options), columns_(columns), samples_(features.size() / columns) {
    bins_.resize(features.size());
    std::vector<double> values(samples_);
    for (std::size_t column = 0; column < columns_; ++column) {
      for (std::size_t i = 0; i < samples_; ++i) {
        values[i] = features[i * columns_ + column];
      }
      cuts_.push_back(cuts_of(values));
      for (std::size_t i = 0; i < samples_; ++i) {
        bins_[i * columns_ + column] = static_cast<std::uint8_t>(
            std::lower_bound(cuts_.back().begin(), cuts_.back().end(), values[i]) - cuts_.back().begin());
      }
    }
    order_.resize(samples_);
    partition_.resize(samples_);
  }

  /// Appends a tree and adds its leaf values to each sample's `scores`.
  void grow(const std::vector<float>& gradients, const std::vector<float>& hessians, std::vector<Node>& nodes,
            std::vector<double>& scores) {
    gradients_ = &gradients;
    hessians_ = &hessians;
    std::iota(order_.begin(), order_.end(), 0u);
    open_.clear();
    const std::size_t root = nodes.size();
    nodes.emplace_back();
    Open first{.node = root, .end = samples_};
    for (std::size_t i = 0; i < samples_; ++i) {
      first.sum.gradient += static_cast<double>(gradients[i]);
      first.sum.hessian += static_cast<double>(hessians[i]);
    }
    first.sum.count = static_cast<std::uint32_t>(samples_);
    first.histogram = histogram_of(first);
    consider(std::move(first));
    int leaves = 1;
    while (leaves < options_.leaves && split_best(nodes)) {
      ++leaves;
    }
    for (const Open& leaf : open_) {
      if (leaf.node == root) {
        continue;  // a tree of one leaf changes nothing
      }
      const double value = newton_step(leaf.sum.gradient, leaf.sum.hessian) * options_.learning_rate;
      nodes[leaf.node].value = value;
      for (std::size_t i = leaf.begin; i < leaf.end; ++i) {
        scores[order_[i]] += value;
      }
    }
  }

 private:
  using Histogram = std::vector<Bin>;  // columns x kMostBins

  /// A leaf so far: its samples are order_[begin, end).
  struct Open {
    std::size_t node = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
    Bin sum = {};
    Histogram histogram = {};
    Split split = {};
  };

  Histogram histogram_of(const Open& leaf) const {
    Histogram histogram(columns_ * kMostBins);
    for (std::size_t i = leaf.begin; i < leaf.end; ++i) {
      const std::uint32_t sample = order_[i];
      for (std::size_t column = 0; column < columns_; ++column) {
        Bin& bin = histogram[column * kMostBins + bins_[sample * columns_ + column]];
        bin.gradient += static_cast<double>((*gradients_)[sample]);
        bin.hessian += static_cast<double>((*hessians_)[sample]);
        ++bin.count;
      }
    }
    return histogram;
  }

  bool may_split(const Open& leaf) const {
    return leaf.end - leaf.begin >= 2 * static_cast<std::size_t>(options_.samples_a_leaf) &&
           leaf.sum.hessian >= kLeastHessian;
  }

  /// Puts a leaf among those that are there, with its best split where it may have one.
  void consider(Open leaf) {
    if (may_split(leaf)) {
      leaf.split = best_split(leaf);
    }
    if (leaf.split.gain <= 0) {
      leaf.histogram.clear();
    }
    open_.push_back(std::move(leaf));
  }

  Split best_split(const Open& leaf) const {
    const auto least = static_cast<std::uint32_t>(options_.samples_a_leaf);
    const double now = leaf.sum.gradient * newton_step(leaf.sum.gradient, leaf.sum.hessian);
    Split best;
    for (std::size_t column = 0; column < columns_; ++column) {
      Bin left;
      for (std::size_t cut = 0; cut < cuts_[column].size(); ++cut) {
        const Bin& bin = leaf.histogram[column * kMostBins + cut];
        left.gradient += bin.gradient;
        left.hessian += bin.hessian;
        left.count += bin.count;
        const Bin right{leaf.sum.gradient - left.gradient, leaf.sum.hessian - left.hessian,
                        leaf.sum.count - left.count};
        if (left.count < least || left.hessian < kLeastHessian) {
          continue;
        }
        if (right.count < least || right.hessian < kLeastHessian) {
          break;
        }
        const double gain = now - left.gradient * newton_step(left.gradient, left.hessian) -
                            right.gradient * newton_step(right.gradient, right.hessian);
        if (gain > best.gain) {
          best = {.gain = gain,
                  .column = static_cast<std::uint32_t>(column),
                  .bin = static_cast<std::uint32_t>(cut),
                  .left = left};
        }
      }
    }
    return best;
  }

  /// Splits the leaf that gains most; false when none gains.
  bool split_best(std::vector<Node>& nodes) {
    const auto place = std::max_element(
        open_.begin(), open_.end(), [](const Open& a, const Open& b) { return a.split.gain < b.split.gain; });
    if (place == open_.end() || place->split.gain <= 0) {
      return false;
    }
    Open parent = std::move(*place);
    open_.erase(place);
    const Split& split = parent.split;
    const std::size_t middle = divide(parent);
    nodes[parent.node].column = split.column;
    nodes[parent.node].threshold = cuts_[split.column][split.bin];
    nodes[parent.node].left = static_cast<std::uint32_t>(nodes.size());
    nodes[parent.node].right = static_cast<std::uint32_t>(nodes.size() + 1);
    Open left{.node = nodes.size(), .begin = parent.begin, .end = middle, .sum = split.left};
    Open right{.node = nodes.size() + 1,
               .begin = middle,
               .end = parent.end,
               .sum = {parent.sum.gradient - split.left.gradient, parent.sum.hessian - split.left.hessian,
                       parent.sum.count - split.left.count}};
    nodes.resize(nodes.size() + 2);
    if (may_split(left) || may_split(right)) {
      // The smaller one is counted, the other is what it leaves of the parent.
      Open& smaller = left.sum.count < right.sum.count ? left : right;
      Open& larger = left.sum.count < right.sum.count ? right : left;
      smaller.histogram = histogram_of(smaller);
      larger.histogram = std::move(parent.histogram);
      for (std::size_t i = 0; i < larger.histogram.size(); ++i) {
        larger.histogram[i].gradient -= smaller.histogram[i].gradient;
        larger.histogram[i].hessian -= smaller.histogram[i].hessian;
        larger.histogram[i].count -= smaller.histogram[i].count;
      }
    }
    consider(std::move(left));
    consider(std::move(right));
    return true;
  }

  /// Moves the samples that go to the left to the front, each side in the order it had.
  std::size_t divide(const Open& leaf) {
    std::size_t to_left = leaf.begin;
    std::size_t to_right = 0;
    for (std::size_t i = leaf.begin; i < leaf.end; ++i) {
      const std::uint32_t sample = order_[i];
      if (bins_[sample * columns_ + leaf.split.column] <= leaf.split.bin) {
        order_[to_left++] = sample;
      } else {
        partition_[to_right++] = sample;
      }
    }
    std::copy_n(partition_.begin(), to_right, order_.begin() + static_cast<std::ptrdiff_t>(to_left));
    return to_left;
  }

  BoostingOptions options_;
  std::size_t columns_;
  std::size_t samples_;
  std::vector<std::vector<double>> cuts_;
  std::vector<std::uint8_t> bins_;  // samples x columns
  const std::vector<float>* gradients_ = nullptr;
  const std::vector<float>* hessians_ = nullptr;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> partition_;
  std::vector<Open> open_;
};

BoostedClassifier::BoostedClassifier(std::span<const double> features, std::span<const std::uint8_t> labels,
                                     std::size_t columns, const BoostingOptions& options)
    : columns_(columns) {
  if (columns == 0 || features.size() != labels.size() * columns) {
    throw base::InternalError({.what = "features and labels do not fit together",
                               .expected = std::to_string(labels.size()) + " x " + std::to_string(columns),
                               .got = std::to_string(features.size()),
                               .hint = "report this as a defect"});
  }
  if (!std::all_of(features.begin(), features.end(), [](double value) { return std::isfinite(value); })) {
    throw base::NumericError({.what = "a feature of a training pair is not finite",
                              .expected = "finite values",
                              .hint = "check the dataset with `multigrnformer inspect --verify`"});
  }
  const auto positives = static_cast<std::size_t>(std::count(labels.begin(), labels.end(), 1));
  if (positives == 0 || positives == labels.size()) {
    throw base::DataError(
        {.what = "the training pairs are of one class",
         .expected = "positives and negatives",
         .got = std::to_string(positives) + " positives of " + std::to_string(labels.size()) + " pairs",
         .hint = "give a split with both among its training pairs"});
  }
  const double share = static_cast<double>(positives) / static_cast<double>(labels.size());
  start_ = std::log(share / (1 - share));
  Grower grower(features, columns, options);
  std::vector<double> scores(labels.size(), start_);
  std::vector<float> gradients(labels.size());
  std::vector<float> hessians(labels.size());
  for (int round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const double other = std::exp(-scores[i]);
      gradients[i] = static_cast<float>((labels[i] == 1 ? -other : 1.0) / (1 + other));
      hessians[i] = static_cast<float>(other / ((1 + other) * (1 + other)));
    }
    grower.grow(gradients, hessians, nodes_, scores);
    first_.push_back(nodes_.size());
  }
}

double BoostedClassifier::log_odds(std::span<const double> features) const {
  double sum = start_;
  for (std::size_t tree = 0; tree + 1 < first_.size(); ++tree) {
    const Node* node = &nodes_[first_[tree]];
    while (node->left != 0) {
      node = &nodes_[features[node->column] <= node->threshold ? node->left : node->right];
    }
    sum += node->value;
  }
  return sum;
}

double BoostedClassifier::probability(std::span<const double> features) const {
  return 1 / (1 + std::exp(-log_odds(features)));
}

}  // namespace mgrn::baselines
