// SPDX-License-Identifier: Apache-2.0
// One regression tree (Breiman et al., Classification and Regression Trees, 1984), grown greedily and
// exactly: of the columns drawn for a node, the split between two values that takes most off the squared
// error. The rules are those of scikit-learn's best (or random) splitter, which arboreto's networks are made
// with:
//   - columns are drawn without replacement; the search ends after `max_columns` draws, those that turn out
//     constant in the node included, and goes on only while every column drawn so far was constant;
//   - values that differ by no more than 1e-7 are not split; the threshold lies half-way;
//   - a node of fewer than two cells, or with a variance of y of at most 2^-52, is a leaf.
// Sums are made in a fixed order in double precision: the same arguments give the same bits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/baselines/trees/regressors.hpp"

namespace mgrn::baselines {

struct TreeOptions {
  std::uint32_t max_columns = 1;  ///< drawn at each node
  int max_depth = 0;              ///< 0: until nothing is left to split
  /// One threshold a column, uniform between its least and greatest value in the node (Geurts et al.,
  /// Extremely randomized trees, doi 10.1007/s10994-006-6226-1).
  bool random_thresholds = false;
};

/// A tree with at most a few levels, kept so that cells outside the sample can be sent down.
class ShallowTree {
 public:
  static constexpr int kDeepest = 6;

  /// The leaf of a cell; leaves are numbered from 0.
  std::uint8_t leaf_of(const Regressors& regressors, std::uint32_t cell) const;
  /// Mean of y over the sample's cells, by leaf.
  const std::vector<double>& leaf_means() const { return leaf_means_; }

 private:
  friend class TreeGrower;
  struct Node {
    std::uint32_t column = 0;
    std::uint32_t cut = 0;
    bool background_right = false;
    std::int32_t left = -1;  ///< -1: a leaf
    std::int32_t right = -1;
    std::uint8_t leaf = 0;
  };
  std::vector<Node> nodes_;
  std::vector<double> leaf_means_;
};

class SubtreeGrower;

/// A cell of a forest's sample: how often it was drawn, and that times y.
struct Share {
  double weight = 0;
  double sum = 0;
};

/// Grows trees, one after another, in memory that it keeps. One thread uses one.
class TreeGrower {
 public:
  explicit TreeGrower(const Regressors& regressors);
  ~TreeGrower();
  TreeGrower(const TreeGrower&) = delete;
  TreeGrower& operator=(const TreeGrower&) = delete;

  const Regressors& regressors() const { return regressors_; }
  /// The columns that may be drawn from now on. Which are drawn depends on their order, and on that of the
  /// regressors. Throws InternalError without any.
  void use_columns(std::span<const std::uint32_t> columns);

  /// A tree on cells drawn with replacement, or on all: `weight` is how often each cell was drawn (0: not in
  /// the sample). Adds to drop[column] what each split takes off the sum of squared errors; returns the
  /// number of splits. `y` may be shifted by any constant; it is most accurate with 0 where most cells are.
  std::uint32_t grow(std::span<const double> y, std::span<const std::uint32_t> weight,
                     const TreeOptions& options, base::BufferedPhiloxStream& random, std::span<double> drop);

  /// A tree on all cells but those of `held_out`, each once. After it leaf()[cell] is the leaf of each cell
  /// of the sample, and of the others what ShallowTree::leaf_of says. options.max_depth is from 1 to
  /// kDeepest.
  std::uint32_t grow_shallow(std::span<const double> y, std::span<const std::uint32_t> held_out,
                             const TreeOptions& options, base::BufferedPhiloxStream& random,
                             std::span<double> drop, ShallowTree& tree);
  std::span<const std::uint8_t> leaf() const { return label_; }

 private:
  struct Node;
  struct Best;
  /// What is left of a column: the first `count` of its places.
  struct Left {
    std::vector<std::uint32_t> place;  ///< in Regressors::sorted
    std::uint32_t count = 0;
  };
  /// An entry whose y is not 0, and the weight of those before it.
  struct Marked {
    std::uint32_t entry = 0;
    std::uint32_t before = 0;
  };
  template <bool kWeighted>
  void grow_from(Node node, std::size_t frame, std::int32_t kept);
  template <bool kWeighted>
  Best find_split(const Node& node, std::uint64_t* constant);
  std::uint32_t collect(const Node& node, std::uint32_t column);
  template <bool kSparse>
  std::uint32_t collect_left(const Node& node, std::uint32_t column);
  void sort_entries(std::uint32_t count, std::uint32_t places);
  template <bool kWeighted>
  bool evaluate(const Node& node, std::uint32_t column, std::uint32_t count, Best& best);
  void mark(const Regressors::Sorted& sorted, std::uint32_t count);
  bool evaluate_marked(const Node& node, std::uint32_t column, std::uint32_t count, Best& best) const;
  void label_part(const Node& node, const Best& best, std::span<const std::uint32_t> apart,
                  std::uint8_t new_label);
  template <bool kWeighted>
  void divide(Node& node, const Best& best, Node& left, Node& right, std::uint8_t new_label);
  template <bool kWeighted>
  void list(Node& node);
  template <bool kWeighted>
  void sum_up(Node& node) const;
  void finish_leaf(const Node& node, std::int32_t kept);
  bool is_leaf(const Node& node) const;

  const Regressors& regressors_;
  std::uint32_t list_below_;  ///< a node of so few cells has them in a list
  std::vector<std::uint32_t> columns_;
  std::size_t constant_words_;
  std::vector<std::uint64_t> constant_;  ///< per frame, the columns known to be constant in its node
  std::vector<std::uint8_t> label_;      ///< per cell, the node it is in
  std::vector<std::uint32_t> listed_;    ///< the cells of nodes that have them listed, node by node
  std::vector<std::uint32_t> aside_;
  std::vector<std::uint32_t> entry_;
  const std::uint32_t* entries_ = nullptr;  ///< places of one column's entries in a node, ascending
  std::vector<Share> share_;                ///< of a forest's cells
  bool sparse_ = false;                     ///< most of them have y = 0
  std::vector<std::uint16_t> rest_;  ///< of sparse ones in no list and no leaf, see kMarked; 0 of others
  std::vector<Marked> marked_;       ///< in entries_, the first marked_count_
  std::uint32_t marked_count_ = 0;
  std::uint32_t marked_weight_ = 0;  ///< of all entries
  std::vector<Left> left_;           ///< by column, see collect_left
  std::vector<std::uint8_t> has_left_;
  std::vector<std::uint64_t> bits_;
  std::unique_ptr<SubtreeGrower> subtree_;
  // The tree being grown.
  std::span<const double> y_;
  TreeOptions options_;
  base::BufferedPhiloxStream* random_ = nullptr;
  std::span<double> drop_;
  ShallowTree* tree_ = nullptr;
  std::uint32_t splits_ = 0;
};

}  // namespace mgrn::baselines
