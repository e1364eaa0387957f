// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/baselines/trees/regression_tree.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "multigrnformer/base/error.hpp"
#include "subtree_grower.hpp"

namespace mgrn::baselines {
namespace {

constexpr std::uint8_t kOutside = 255;  // label of cells that are not in the sample, or in a finished leaf
// The smaller part of a listed node is grown first, in a frame of its own, so that frames nest log2(cells)
// deep; and one more for the entries of a node without a list.
constexpr std::size_t kFrames = 36;
// So few numbers are sorted fastest by insertion; of more, a bit each in a bitmap, while that is not much
// longer than they are many.
constexpr std::uint32_t kInsertion = 4;
constexpr std::uint32_t kBitmapWordsPerEntry = 4;

// Labels lie near, a cell's places far: so many entries of a column are looked at in the time of one of
// these.
constexpr std::size_t kEntriesPerPlace = 4;
// y is sparse where at most one cell in so many has another than 0.
constexpr std::uint32_t kSparseOneIn = 2;
// A weight that fits in rest_, where it stands above the bit kMarked: y is not 0.
constexpr std::uint32_t kMostTimes = 32767;
constexpr std::uint32_t kMarked = 1;

bool goes_right(std::uint32_t place, std::uint32_t cut, bool background_right) {
  return place == 0 ? background_right : place > cut;
}

}  // namespace

struct TreeGrower::Node {
  std::uint8_t label = 0;
  int depth = 0;
  std::uint32_t cells = 0;     ///< distinct
  std::uint32_t not_zero = 0;  ///< of these, with y other than 0
  double weight = 0;
  double sum = 0;      ///< of y
  double squares = 0;  ///< of y
  bool has_list = false;
  std::uint32_t first = 0;  ///< in listed_
  std::uint32_t last = 0;
};

struct TreeGrower::Best {
  double gain = -1;
  std::uint32_t column = 0;
  float low = 0;   ///< greatest value on the left
  float high = 0;  ///< least value on the right
  double threshold = 0;
  std::uint32_t cut = 0;  ///< entries of the column from here on are greater than the threshold
  bool background_right = false;
};

std::uint8_t ShallowTree::leaf_of(const Regressors& regressors, std::uint32_t cell) const {
  return regressors.with_places([&](const auto* places) {
    const auto* row = places + std::size_t{cell} * regressors.columns();
    const Node* node = nodes_.data();
    while (node->left >= 0) {
      node = nodes_.data() +
             (goes_right(row[node->column], node->cut, node->background_right) ? node->right : node->left);
    }
    return node->leaf;
  });
}

TreeGrower::TreeGrower(const Regressors& regressors)
    : regressors_(regressors),
      list_below_(regressors.mean_count()),
      constant_words_((regressors.columns() + 63) / 64),
      constant_(kFrames * constant_words_),
      label_(regressors.cells()),
      listed_(regressors.cells()),
      aside_(regressors.cells()),
      entry_(regressors.cells() + 1),
      rest_(regressors.cells()),
      marked_(regressors.cells()),
      bits_(regressors.cells() / 64 + 2),
      subtree_(std::make_unique<SubtreeGrower>(regressors)) {
  columns_.resize(regressors.columns());
  std::iota(columns_.begin(), columns_.end(), 0U);
  subtree_->use_columns(columns_);
}

TreeGrower::~TreeGrower() = default;

void TreeGrower::use_columns(std::span<const std::uint32_t> columns) {
  if (columns.empty()) {
    throw base::InternalError({.what = "a tree without regressors", .hint = "report this as a defect"});
  }
  columns_.assign(columns.begin(), columns.end());
  subtree_->use_columns(columns);
}

std::uint32_t TreeGrower::grow(std::span<const double> y, std::span<const std::uint32_t> weight,
                               const TreeOptions& options, base::BufferedPhiloxStream& random,
                               std::span<double> drop) {
  y_ = y;
  options_ = options;
  random_ = &random;
  drop_ = drop;
  tree_ = nullptr;
  splits_ = 0;
  Node root;
  share_.resize(regressors_.cells());
  left_.resize(regressors_.columns());
  has_left_.assign(regressors_.columns(), 0);
  for (std::uint32_t cell = 0; cell < regressors_.cells(); ++cell) {
    label_[cell] = weight[cell] == 0 ? kOutside : 0;
    const auto times = static_cast<double>(weight[cell]);
    share_[cell] = {times, times * y[cell]};
    root.cells += weight[cell] != 0 ? 1 : 0;
    root.not_zero += weight[cell] != 0 && y[cell] != 0 ? 1 : 0;
    root.weight += times;
    root.sum += times * y[cell];
    root.squares += times * y[cell] * y[cell];
  }
  sparse_ = !options.random_thresholds && root.not_zero <= root.cells / kSparseOneIn &&
            std::ranges::max(weight) <= kMostTimes;
  if (sparse_) {
    for (std::uint32_t cell = 0; cell < regressors_.cells(); ++cell) {
      const std::uint32_t mark = weight[cell] != 0 && y[cell] != 0 ? kMarked : 0;
      rest_[cell] = static_cast<std::uint16_t>(weight[cell] << 1 | mark);
    }
  }
  std::fill_n(constant_.begin(), constant_words_, 0);
  grow_from<true>(root, 0, -1);
  return splits_;
}

std::uint32_t TreeGrower::grow_shallow(std::span<const double> y, std::span<const std::uint32_t> held_out,
                                       const TreeOptions& options, base::BufferedPhiloxStream& random,
                                       std::span<double> drop, ShallowTree& tree) {
  if (options.max_depth < 1 || options.max_depth > ShallowTree::kDeepest) {
    throw base::InternalError({.what = "depth of a shallow tree",
                               .expected = "1 to " + std::to_string(ShallowTree::kDeepest),
                               .got = std::to_string(options.max_depth),
                               .hint = "report this as a defect"});
  }
  y_ = y;
  options_ = options;
  random_ = &random;
  drop_ = drop;
  tree_ = &tree;
  splits_ = 0;
  tree.nodes_.assign(1, {});
  tree.leaf_means_.assign(1, 0);
  std::fill(label_.begin(), label_.end(), std::uint8_t{0});
  Node root;
  // Four sums side by side, in an order that is fixed: one would wait for each addition.
  std::array<double, 4> sum{};
  std::array<double, 4> squares{};
  std::size_t cell = 0;
  for (; cell + 4 <= y.size(); cell += 4) {
    for (std::size_t lane = 0; lane < 4; ++lane) {
      sum[lane] += y[cell + lane];
      squares[lane] += y[cell + lane] * y[cell + lane];
    }
  }
  for (; cell < y.size(); ++cell) {
    sum[0] += y[cell];
    squares[0] += y[cell] * y[cell];
  }
  double held_sum = 0;
  double held_squares = 0;
  for (const auto held : held_out) {
    label_[held] = kOutside;
    held_sum += y[held];
    held_squares += y[held] * y[held];
  }
  root.cells = regressors_.cells() - static_cast<std::uint32_t>(held_out.size());
  root.not_zero = root.cells;
  root.weight = root.cells;
  root.sum = (sum[0] + sum[1]) + (sum[2] + sum[3]) - held_sum;
  root.squares = (squares[0] + squares[1]) + (squares[2] + squares[3]) - held_squares;
  std::fill_n(constant_.begin(), constant_words_, 0);
  grow_from<false>(root, 0, 0);
  for (const auto held : held_out) {
    label_[held] = tree.leaf_of(regressors_, held);
  }
  return splits_;
}

bool TreeGrower::is_leaf(const Node& node) const {
  if (node.cells < 2 || node.not_zero == 0 || (options_.max_depth > 0 && node.depth >= options_.max_depth)) {
    return true;
  }
  const double mean = node.sum / node.weight;
  return node.squares / node.weight - mean * mean <= kPure;
}

void TreeGrower::finish_leaf(const Node& node, std::int32_t kept) {
  if (tree_ != nullptr) {
    tree_->nodes_[static_cast<std::size_t>(kept)].leaf = node.label;
    tree_->leaf_means_[node.label] = node.sum / node.weight;
    return;
  }
  // The label is given again to other nodes. Only the first frame has nodes without a list, and ends with
  // one.
  for (std::uint32_t i = node.first; i < node.last; ++i) {
    label_[listed_[i]] = kOutside;
  }
}

/// `frame` is where the node's constant columns are kept, `kept` its place in a tree that is kept.
template <bool kWeighted>
void TreeGrower::grow_from(Node node, std::size_t frame, std::int32_t kept) {
  std::uint64_t* const constant = constant_.data() + frame * constant_words_;
  while (!is_leaf(node)) {
    if constexpr (kWeighted) {
      if (node.cells <= SubtreeGrower::kMostCells) {
        if (!node.has_list) {
          list<kWeighted>(node);
        }
        splits_ += subtree_->grow({y_, share_, options_, random_, drop_},
                                  std::span(listed_).subspan(node.first, node.cells), node.depth, constant);
        break;
      }
    }
    if (!node.has_list && node.cells <= list_below_) {
      list<kWeighted>(node);
    }
    const Best best = find_split<kWeighted>(node, constant);
    if (best.gain < 0) {
      break;  // every column is constant
    }
    drop_[best.column] += best.gain * node.weight;
    ++splits_;
    Node left{.depth = node.depth + 1};
    Node right{.depth = node.depth + 1};
    // A kept tree's leaves have labels of their own, others a label per frame.
    const auto new_label =
        static_cast<std::uint8_t>(tree_ != nullptr ? tree_->leaf_means_.size() : frame + 1);
    std::int32_t kept_left = -1;
    std::int32_t kept_right = -1;
    if (tree_ != nullptr) {
      tree_->leaf_means_.push_back(0);
      kept_left = static_cast<std::int32_t>(tree_->nodes_.size());
      kept_right = kept_left + 1;
      tree_->nodes_.resize(tree_->nodes_.size() + 2);
      tree_->nodes_[static_cast<std::size_t>(kept)] = {.column = best.column,
                                                       .cut = best.cut,
                                                       .background_right = best.background_right,
                                                       .left = kept_left,
                                                       .right = kept_right};
    }
    divide<kWeighted>(node, best, left, right, new_label);
    const bool left_is_new = left.label == new_label;
    std::copy_n(constant, constant_words_, constant + constant_words_);
    grow_from<kWeighted>(left_is_new ? left : right, frame + 1, left_is_new ? kept_left : kept_right);
    node = left_is_new ? right : left;
    kept = left_is_new ? kept_right : kept_left;
  }
  finish_leaf(node, kept);
}

template <bool kWeighted>
void TreeGrower::list(Node& node) {
  node.has_list = true;
  node.first = 0;
  node.last = 0;
  for (std::uint32_t cell = 0; cell < regressors_.cells(); ++cell) {
    listed_[node.last] = cell;
    node.last += label_[cell] == node.label ? 1 : 0;
    if (node.last == node.cells) {
      break;
    }
  }
  sum_up<kWeighted>(node);  // until now by subtraction
}

/// Counts and sums over the cells of a node that has them listed.
template <bool kWeighted>
void TreeGrower::sum_up(Node& node) const {
  std::uint32_t not_zero = 0;
  double weight = 0;
  double sum = 0;
  double squares = 0;
  for (std::uint32_t i = node.first; i < node.last; ++i) {
    const double y = y_[listed_[i]];
    const Share share = kWeighted ? share_[listed_[i]] : Share{1.0, y};
    not_zero += y != 0 ? 1 : 0;
    weight += share.weight;
    sum += share.sum;
    squares += share.sum * y;
  }
  node.cells = node.last - node.first;
  node.not_zero = not_zero;
  node.weight = weight;
  node.sum = sum;
  node.squares = squares;
}

template <bool kWeighted>
TreeGrower::Best TreeGrower::find_split(const Node& node, std::uint64_t* constant) {
  Best best;
  auto remaining = static_cast<std::uint32_t>(columns_.size());
  std::uint32_t known = 0;  // columns not drawn yet that are known to be constant
  for (std::size_t word = 0; word < constant_words_; ++word) {
    known += static_cast<std::uint32_t>(std::popcount(constant[word]));
  }
  std::uint32_t drawn = 0;
  bool all_constant = true;
  while (remaining > known && (drawn < options_.max_columns || all_constant)) {
    const std::uint32_t pick = random_->below(remaining);
    const std::uint32_t column = columns_[pick];
    std::swap(columns_[pick], columns_[--remaining]);
    ++drawn;
    const std::uint64_t bit = std::uint64_t{1} << (column % 64);
    if ((constant[column / 64] & bit) != 0) {
      --known;
      continue;
    }
    const bool by_left = kWeighted && !node.has_list;
    const std::uint32_t count = !by_left  ? collect(node, column)
                                : sparse_ ? collect_left<true>(node, column)
                                          : collect_left<false>(node, column);
    const bool is_constant = !evaluate<kWeighted>(node, column, count, best);
    if (is_constant) {
      constant[column / 64] |= bit;
    } else {
      all_constant = false;
    }
  }
  if (best.gain >= 0) {
    if (!options_.random_thresholds) {
      best.threshold = best.low / 2.0 + best.high / 2.0;
      if (best.threshold == best.high || !std::isfinite(best.threshold)) {
        best.threshold = best.low;
      }
    }
    const auto& sorted = regressors_.sorted(best.column);
    best.cut = static_cast<std::uint32_t>(
        std::upper_bound(sorted.value, sorted.value + sorted.count, best.threshold,
                         [](double threshold, float value) { return threshold < value; }) -
        sorted.value);
    best.background_right = best.threshold < sorted.background;
  }
  return best;
}

/// collect() for a node without a list, in a forest; where y is sparse mark(), too. Such nodes lie one within
/// the other, so that what was there the last time is all that need be looked at.
template <bool kSparse>
std::uint32_t TreeGrower::collect_left(const Node& node, std::uint32_t column) {
  const auto& sorted = regressors_.sorted(column);
  auto& left = left_[column];
  const bool is_new = has_left_[column] == 0;
  if (is_new) {
    has_left_[column] = 1;
    left.place.resize(sorted.count);
    left.count = sorted.count;
  }
  const std::uint8_t* const label = label_.data();
  const std::uint16_t* const rest = rest_.data();
  std::uint32_t* const places = left.place.data();
  Marked* const marked = marked_.data();
  std::uint32_t count = 0;
  std::uint32_t marked_count = 0;
  std::uint32_t weight = 0;
  const auto look_at = [&](std::uint32_t place) {  // without branches: they are hard to foresee
    const std::uint32_t cell = sorted.cell[place];
    places[count] = place;
    if constexpr (kSparse) {
      const std::uint32_t its = rest[cell];
      marked[marked_count] = {.entry = count, .before = weight};
      marked_count += its & kMarked;
      weight += its >> 1;
      count += its != 0 ? 1 : 0;
    } else {
      count += label[cell] == node.label ? 1 : 0;
    }
  };
  if (is_new) {
    for (std::uint32_t i = 0; i < left.count; ++i) {
      look_at(i);
    }
  } else {
    for (std::uint32_t i = 0; i < left.count; ++i) {
      look_at(places[i]);
    }
  }
  marked_count_ = marked_count;
  marked_weight_ = weight;
  left.count = count;
  entries_ = places;
  return count;
}

/// Finds the places of the column's entries that belong to the node's cells, ascending: entries_.
std::uint32_t TreeGrower::collect(const Node& node, std::uint32_t column) {
  const auto& sorted = regressors_.sorted(column);
  std::uint32_t* const entry = entry_.data();
  entries_ = entry;
  std::uint32_t count = 0;
  if (!node.has_list || sorted.count <= 2 * (node.last - node.first)) {
    const std::uint8_t* const label = label_.data();
    const std::uint8_t wanted = node.label;
    const std::uint32_t entries = sorted.count;
    for (std::uint32_t i = 0; i < entries; ++i) {
      entry[count] = i;
      count += label[sorted.cell[i]] == wanted ? 1 : 0;
    }
    return count;
  }
  regressors_.with_places([&](const auto* places) {
    const auto* const of_column = places + column;
    const std::size_t stride = regressors_.columns();
    for (std::uint32_t i = node.first; i < node.last; ++i) {
      const std::uint32_t place = of_column[listed_[i] * stride];
      entry[count] = place - 1;
      count += place != 0 ? 1 : 0;
    }
  });
  sort_entries(count, sorted.count);
  return count;
}

/// Sorts the first `count` numbers of entry_, distinct and below `places`.
void TreeGrower::sort_entries(std::uint32_t count, std::uint32_t places) {
  std::uint32_t* const entry = entry_.data();
  const std::uint32_t words = places / 64 + 1;
  if (count <= kInsertion) {
    for (std::uint32_t i = 1; i < count; ++i) {
      const std::uint32_t moving = entry[i];
      std::uint32_t to = i;
      for (; to > 0 && entry[to - 1] > moving; --to) {
        entry[to] = entry[to - 1];
      }
      entry[to] = moving;
    }
  } else if (words <= kBitmapWordsPerEntry * count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      bits_[entry[i] / 64] |= std::uint64_t{1} << (entry[i] % 64);
    }
    std::uint32_t to = 0;
    for (std::uint32_t word = 0; word < words; ++word) {
      for (std::uint64_t bits = bits_[word]; bits != 0; bits &= bits - 1) {
        entry[to++] = word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits));
      }
      bits_[word] = 0;
    }
  } else {
    std::sort(entry, entry + count);
  }
}

/// Considers the splits of the column; false when it is constant in the node. A split takes W g off the sum
/// of squares, g = d^2 / (w (W - w)); w and W are the weights of one side and of the node, d is the sum of y
/// on that side less w times the node's mean. Both sides have the same d^2, so entries above the background
/// are summed from the greatest down, those below it from the least up, and the background's own sum is never
/// needed.
template <bool kWeighted>
bool TreeGrower::evaluate(const Node& node, std::uint32_t column, std::uint32_t count, Best& best) {
  const auto& sorted = regressors_.sorted(column);
  const std::uint32_t* const entry = entries_;
  if (count == 0) {
    return false;
  }
  const bool has_background = count < node.cells;
  if constexpr (kWeighted) {
    if (sparse_ && has_background && sorted.apart) {
      if (node.has_list) {
        mark(sorted, count);
      }
      if (evaluate_marked(node, column, count, best)) {
        return true;
      }
    }
  }
  const auto below =
      entry[0] >= sorted.below
          ? 0
          : static_cast<std::uint32_t>(std::lower_bound(entry, entry + count, sorted.below) - entry);
  const float least = has_background && below == 0 ? sorted.background : sorted.value[entry[0]];
  const float greatest =
      has_background && below == count ? sorted.background : sorted.value[entry[count - 1]];
  if (greatest <= least + kSameValue) {
    return false;
  }
  const double total = node.weight;
  const double mean = node.sum / total;
  const double* const y = y_.data();
  double weight = 0;
  double sum = 0;
  const auto add = [&](std::uint32_t i) {
    const std::uint32_t cell = sorted.cell[entry[i]];
    if constexpr (kWeighted) {
      weight += share_[cell].weight;
      sum += share_[cell].sum;
    } else {
      weight += 1.0;
      sum += y[cell];
    }
  };
  if (options_.random_thresholds) {
    double threshold = least + random_->uniform() * (static_cast<double>(greatest) - least);
    if (threshold >= greatest) {
      threshold = least;
    }
    // The side without the background, or either.
    const bool from_left = !(sorted.background <= threshold);
    for (std::uint32_t i = 0; i < count; ++i) {
      if ((sorted.value[entry[i]] <= threshold) == from_left) {
        add(i);
      }
    }
    const double d = sum - weight * mean;
    const double gain = d * d / (weight * (total - weight));
    if (gain > best.gain) {
      best.gain = gain;
      best.column = column;
      best.threshold = threshold;
    }
    return true;
  }
  double best_gain = best.gain;
  const auto consider = [&](auto&& low, auto&& high) {
    const double d = sum - weight * mean;
    const double both = weight * (total - weight);
    if (d * d > best_gain * both && high() > low() + kSameValue) {
      best_gain = d * d / both;
      best.column = column;
      best.low = low();
      best.high = high();
    }
  };
  const auto value = [&](std::uint32_t i) { return [&, i] { return sorted.value[entry[i]]; }; };
  const auto background = [&] { return sorted.background; };
  for (std::uint32_t i = count - 1; i > below; --i) {
    add(i);
    consider(value(i - 1), value(i));
  }
  if (below < count && (has_background || below > 0)) {
    add(below);
    if (has_background) {
      consider(background, value(below));
    } else {
      consider(value(below - 1), value(below));
    }
  }
  weight = 0;
  sum = 0;
  for (std::uint32_t i = 0; i < below; ++i) {
    add(i);
    if (i + 1 < below) {
      consider(value(i), value(i + 1));
    } else if (has_background) {
      consider(value(i), background);
    }
  }
  best.gain = best_gain;
  return true;
}

/// Finds the entries whose y is not 0: marked_.
void TreeGrower::mark(const Regressors::Sorted& sorted, std::uint32_t count) {
  marked_count_ = 0;
  marked_weight_ = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Share& share = share_[sorted.cell[entries_[i]]];
    marked_[marked_count_] = {.entry = i, .before = marked_weight_};
    marked_count_ += share.sum != 0 ? 1 : 0;
    marked_weight_ += static_cast<std::uint32_t>(share.weight);
  }
}

/// evaluate() for a column that has entries above the background only, and a background. Along entries of
/// equal y the gain is a convex function of the weight of one side, so that the best split is at an end of
/// such a run (Fayyad and Irani, doi 10.1007/BF00994007): beside an entry whose y is not 0, or between all of
/// them and the background. False, and nothing is done, where such a split would part equal values.
bool TreeGrower::evaluate_marked(const Node& node, std::uint32_t column, std::uint32_t count,
                                 Best& best) const {
  const double total = node.weight;
  const double mean = node.sum / total;
  const auto& sorted = regressors_.sorted(column);
  double best_gain = best.gain;
  std::uint32_t first = count;  // the side of the best split has the entries from here on
  double sum = 0;
  const auto consider = [&](double weight, std::uint32_t from) {
    const double d = sum - weight * mean;
    const double both = weight * (total - weight);
    if (d * d > best_gain * both) {
      best_gain = d * d / both;
      first = from;
    }
  };
  for (std::uint32_t i = marked_count_; i-- > 0;) {
    const auto [entry, before] = marked_[i];
    const Share& share = share_[sorted.cell[entries_[entry]]];
    const double weight = marked_weight_ - before;
    consider(weight - share.weight, entry + 1);  // of no entry, if it is the last: that gains nothing
    sum += share.sum;
    consider(weight, entry);
  }
  consider(marked_weight_, 0);
  if (first == count) {
    return true;
  }
  const float low = first > 0 ? sorted.value[entries_[first - 1]] : sorted.background;
  const float high = sorted.value[entries_[first]];
  if (high <= low + kSameValue) {
    return false;
  }
  best.gain = best_gain;
  best.column = column;
  best.low = low;
  best.high = high;
  return true;
}

/// Labels the cells of a listed node that are `apart`, or by their places, whichever are fewer to look at.
void TreeGrower::label_part(const Node& node, const Best& best, std::span<const std::uint32_t> apart,
                            std::uint8_t new_label) {
  if (apart.size() <= kEntriesPerPlace * std::size_t{node.cells}) {
    for (const std::uint32_t cell : apart) {
      label_[cell] = label_[cell] == node.label ? new_label : label_[cell];
    }
    return;
  }
  regressors_.with_places([&](const auto* places) {
    const auto* const of_column = places + best.column;
    const std::size_t stride = regressors_.columns();
    for (std::uint32_t i = node.first; i < node.last; ++i) {
      const std::uint32_t cell = listed_[i];
      const bool right_side = goes_right(of_column[cell * stride], best.cut, best.background_right);
      label_[cell] = right_side != best.background_right ? new_label : node.label;
    }
  });
}

/// Parts the node's cells. One of the two gets `new_label`, the other keeps the node's: of a node with a list
/// the smaller, of one without the part that the column has entries for, which are found without looking at
/// the rest.
template <bool kWeighted>
void TreeGrower::divide(Node& node, const Best& best, Node& left, Node& right, std::uint8_t new_label) {
  left.label = node.label;
  right.label = node.label;
  const auto& sorted = regressors_.sorted(best.column);
  // The part without the background, and its entries.
  Node& fresh = best.background_right ? left : right;
  Node& rest = best.background_right ? right : left;
  const std::uint32_t from = best.background_right ? 0 : best.cut;
  const std::uint32_t to = best.background_right ? best.cut : sorted.count;
  if (node.has_list) {
    label_part(node, best, {sorted.cell + from, sorted.cell + to}, new_label);
    // Without a branch: the sides of cells are hard to foresee.
    const std::uint8_t label_right = best.background_right ? node.label : new_label;
    std::uint32_t* const listed = listed_.data();
    std::uint32_t* const aside = aside_.data();
    std::uint32_t stays = node.first;
    std::uint32_t goes = 0;
    for (std::uint32_t i = node.first; i < node.last; ++i) {
      const std::uint32_t cell = listed[i];
      const bool right_side = label_[cell] == label_right;
      listed[stays] = cell;
      aside[goes] = cell;
      stays += right_side ? 0 : 1;
      goes += right_side ? 1 : 0;
    }
    std::copy_n(aside_.begin(), goes, listed_.begin() + stays);
    left.has_list = true;
    left.first = node.first;
    left.last = stays;
    right.has_list = true;
    right.first = stays;
    right.last = node.last;
    sum_up<kWeighted>(left);
    sum_up<kWeighted>(right);
    Node& smaller = left.cells <= right.cells ? left : right;
    smaller.label = new_label;
    if (&smaller != &fresh) {
      for (std::uint32_t i = node.first; i < node.last; ++i) {
        std::uint8_t& label = label_[listed[i]];
        label = label == new_label ? node.label : new_label;
      }
    }
    return;
  }
  fresh.label = new_label;
  fresh.has_list = true;
  if constexpr (kWeighted) {
    // The column's entries in the node are known: it was drawn.
    const Left& column = left_[best.column];
    const auto last = column.place.begin() + column.count;
    for (auto place = std::lower_bound(column.place.begin(), last, from); place != last && *place < to;
         ++place) {
      const std::uint32_t cell = sorted.cell[*place];
      label_[cell] = new_label;
      if (sparse_) {
        rest_[cell] = 0;
      }
      listed_[fresh.last++] = cell;
    }
  } else {
    for (std::uint32_t i = from; i < to; ++i) {
      const std::uint32_t cell = sorted.cell[i];
      if (label_[cell] == node.label) {
        label_[cell] = new_label;
        listed_[fresh.last++] = cell;
      }
    }
  }
  sum_up<kWeighted>(fresh);
  rest.cells = node.cells - fresh.cells;
  rest.not_zero = node.not_zero - fresh.not_zero;
  rest.weight = node.weight - fresh.weight;
  rest.sum = node.sum - fresh.sum;
  rest.squares = node.squares - fresh.squares;
}

}  // namespace mgrn::baselines
