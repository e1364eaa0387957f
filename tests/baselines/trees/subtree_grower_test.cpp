// SPDX-License-Identifier: Apache-2.0
// Trees that cross the sizes at which the search for splits changes (64 and 1,024 cells) against trees grown
// without any cleverness, and the distribution of what is drawn against what it must be.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

#include "multigrnformer/baselines/trees/regression_tree.hpp"

namespace mgrn::baselines {
namespace {

using Matrix = std::vector<std::vector<float>>;  // column, cell

Regressors regressors_of(const Matrix& x, const std::vector<float>& background) {
  std::vector<std::vector<std::uint32_t>> cell(x.size());
  std::vector<std::vector<float>> value(x.size());
  std::vector<RegressorColumn> columns;
  for (std::size_t column = 0; column < x.size(); ++column) {
    for (std::uint32_t i = 0; i < x[column].size(); ++i) {
      if (x[column][i] != background[column]) {
        cell[column].push_back(i);
        value[column].push_back(x[column][i]);
      }
    }
    columns.push_back({.cell = cell[column], .value = value[column], .background = background[column]});
  }
  return {columns, static_cast<std::uint32_t>(x.front().size())};
}

/// Grows by trying every split of every column, level by level: what is taken off the squared error by the
/// splits of each depth, and how many there are.
class PlainTree {
 public:
  PlainTree(const Matrix& x, const std::vector<double>& y, const std::vector<std::uint32_t>& weight)
      : x_(x), y_(y), weight_(weight) {
    std::vector<std::uint32_t> cells;
    for (std::uint32_t cell = 0; cell < y.size(); ++cell) {
      if (weight[cell] > 0) {
        cells.push_back(cell);
      }
    }
    grow(std::move(cells), 0);
  }
  const std::vector<double>& drop() const { return drop_; }
  const std::vector<std::uint32_t>& splits() const { return splits_; }

 private:
  double error(const std::vector<std::uint32_t>& cells) const {
    double total = 0;
    double sum = 0;
    for (const auto cell : cells) {
      total += weight_[cell];
      sum += weight_[cell] * y_[cell];
    }
    double squares = 0;
    for (const auto cell : cells) {
      squares += weight_[cell] * (y_[cell] - sum / total) * (y_[cell] - sum / total);
    }
    return squares;
  }

  void grow(std::vector<std::uint32_t> cells, std::size_t depth) {
    if (cells.size() < 2 || error(cells) < 1e-13) {
      return;
    }
    double total = 0;
    double mean = 0;
    for (const auto cell : cells) {
      total += weight_[cell];
      mean += weight_[cell] * y_[cell];
    }
    mean /= total;
    double best = -1;
    std::vector<std::uint32_t> left;
    std::vector<std::uint32_t> right;
    for (const auto& column : x_) {
      std::sort(cells.begin(), cells.end(), [&](auto a, auto b) { return column[a] < column[b]; });
      double weight = 0;
      double off = 0;
      for (std::size_t i = 0; i + 1 < cells.size(); ++i) {
        weight += weight_[cells[i]];
        off += weight_[cells[i]] * (y_[cells[i]] - mean);
        const double gain = off * off / (weight * (total - weight));
        if (column[cells[i + 1]] > column[cells[i]] + 1e-7F && gain > best) {
          best = gain;
          left.assign(cells.begin(), cells.begin() + static_cast<std::ptrdiff_t>(i) + 1);
          right.assign(cells.begin() + static_cast<std::ptrdiff_t>(i) + 1, cells.end());
        }
      }
    }
    if (best < 0) {
      return;
    }
    drop_.resize(std::max(drop_.size(), depth + 1));
    splits_.resize(drop_.size());
    drop_[depth] += best * total;
    ++splits_[depth];
    grow(std::move(left), depth + 1);
    grow(std::move(right), depth + 1);
  }

  const Matrix& x_;
  const std::vector<double>& y_;
  const std::vector<std::uint32_t>& weight_;
  std::vector<double> drop_;
  std::vector<std::uint32_t> splits_;
};

TEST(SubtreeGrower, GrowsTheTreeThatTryingEverySplitGrows) {
  std::uint64_t seed = 0;
  for (const std::uint32_t cells : {2U, 3U, 9U, 64U, 65U, 200U, 1024U, 1025U, 3000U}) {
    for (const auto& [share, below, ties] : {std::tuple{0.05, false, 0U},
                                             {0.05, true, 6U},
                                             {0.4, false, 40U},
                                             {0.9, true, 0U},
                                             {1.0, false, 0U},
                                             {1.0, true, 12U}}) {
      ++seed;
      SCOPED_TRACE(std::to_string(cells) + " cells, share " + std::to_string(share));
      base::BufferedPhiloxStream random(seed, 0);
      Matrix x(7, std::vector<float>(cells, 0.0F));
      for (auto& column : x) {
        for (auto& value : column) {
          if (random.uniform() < share) {
            value =
                ties > 0 ? static_cast<float>(1 + random.below(ties)) : static_cast<float>(random.normal());
            value = below ? value - 0.4F * static_cast<float>(ties) : std::abs(value);
          }
        }
      }
      std::vector<double> y(cells);
      std::vector<std::uint32_t> weight(cells);
      for (std::uint32_t cell = 0; cell < cells; ++cell) {
        y[cell] = random.normal();
        weight[cell] = cells < 10 ? 1 + random.below(3) : random.below(4);
      }
      const auto regressors = regressors_of(x, std::vector<float>(x.size(), 0.0F));
      const PlainTree plain(x, y, weight);
      TreeGrower grower(regressors);
      double expected = 0;
      std::uint32_t splits = 0;
      for (std::size_t depth = 0; depth <= plain.drop().size(); ++depth) {
        // What is beyond the deepest split changes nothing, nor does a depth without a limit.
        const bool deepest = depth == plain.drop().size();
        expected += deepest ? 0 : plain.drop()[depth];
        splits += deepest ? 0 : plain.splits()[depth];
        std::vector<double> drop(x.size());
        const auto made =
            grower.grow(y, weight, {.max_columns = 7, .max_depth = deepest ? 0 : static_cast<int>(depth) + 1},
                        random, drop);
        EXPECT_EQ(made, splits);
        EXPECT_NEAR(std::accumulate(drop.begin(), drop.end(), 0.0), expected, 1e-8 * (1 + expected));
      }
    }
  }
}

// Deeper down several splits are equally good there, and which is taken is free.
TEST(SubtreeGrower, GrowsTheSameTopOfTheTreeWhereMostTargetsAreZero) {
  std::uint64_t seed = 1000;
  for (const std::uint32_t cells : {20U, 60U, 300U, 1000U, 1500U, 5000U}) {
    for (const auto& [share, below, ties, zeros] : {std::tuple{0.06, false, 0U, 0.9},
                                                    {0.06, true, 0U, 0.9},
                                                    {0.06, false, 4U, 0.9},
                                                    {0.3, false, 0U, 0.7},
                                                    {0.3, false, 30U, 0.7},
                                                    {0.6, true, 0U, 0.95}}) {
      for (int repeat = 0; repeat < 5; ++repeat) {
        ++seed;
        SCOPED_TRACE(std::to_string(cells) + " cells, share " + std::to_string(share) + ", ties " +
                     std::to_string(ties));
        base::BufferedPhiloxStream random(seed, 0);
        Matrix x(9, std::vector<float>(cells, 0.0F));
        for (auto& column : x) {
          for (auto& value : column) {
            if (random.uniform() < share) {
              value = ties > 0 ? static_cast<float>(1 + random.below(ties))
                               : static_cast<float>(random.uniform()) - (below ? 0.5F : 0.0F);
            }
          }
        }
        std::vector<double> y(cells);
        std::vector<std::uint32_t> weight(cells);
        // Some are weighted as no draw with replacement ever would: beyond 16 bits, and beyond 8.
        const std::uint32_t most = repeat == 3 ? 70'000 : repeat == 4 ? 400 : 4;
        for (std::uint32_t cell = 0; cell < cells; ++cell) {
          y[cell] = random.uniform() < zeros ? 0 : random.normal() + (repeat % 2);
          weight[cell] = random.below(most);
        }
        const auto regressors = regressors_of(x, std::vector<float>(x.size(), 0.0F));
        const PlainTree plain(x, y, weight);
        TreeGrower grower(regressors);
        double expected = 0;
        for (std::size_t depth = 0; depth < std::min<std::size_t>(cells < 1000 ? 1 : 3, plain.drop().size());
             ++depth) {
          expected += plain.drop()[depth];
          std::vector<double> drop(x.size());
          grower.grow(y, weight, {.max_columns = 9, .max_depth = static_cast<int>(depth) + 1}, random, drop);
          EXPECT_NEAR(std::accumulate(drop.begin(), drop.end(), 0.0), expected, 1e-9 * expected);
        }
      }
    }
  }
}

double chi_square(const std::vector<std::uint32_t>& count) {
  const double mean = std::accumulate(count.begin(), count.end(), 0.0) / static_cast<double>(count.size());
  double sum = 0;
  for (const auto n : count) {
    sum += (n - mean) * (n - mean) / mean;
  }
  return sum;
}

/// How often each column has the first split, over many streams.
std::vector<std::uint32_t> first_splits(const Regressors& regressors, const std::vector<double>& y,
                                        TreeOptions options, std::uint64_t streams) {
  TreeGrower grower(regressors);
  options.max_depth = 1;
  std::vector<std::uint32_t> count(regressors.columns());
  const std::vector<std::uint32_t> weight(y.size(), 1);
  for (std::uint64_t stream = 0; stream < streams; ++stream) {
    base::BufferedPhiloxStream random(stream, 9);
    std::vector<double> drop(regressors.columns());
    EXPECT_EQ(grower.grow(y, weight, options, random, drop), 1U);
    for (std::size_t column = 0; column < drop.size(); ++column) {
      count[column] += drop[column] > 0 ? 1 : 0;
    }
  }
  return count;
}

TEST(SubtreeGrower, TwoCellsArePartedByEachColumnThatTellsThemApartEquallyOften) {
  Matrix x;
  std::vector<std::size_t> apart;
  for (int i = 0; i < 100; ++i) {
    const std::vector<std::vector<float>> kinds = {{0, 0}, {0, 1},     {2, 0}, {1, 3},
                                                   {2, 2}, {0, 5e-8F}, {0, -1}};
    const auto kind = static_cast<std::size_t>(i) % kinds.size();
    x.push_back(kinds[kind]);
    if (kind != 0 && kind != 4 && kind != 5) {
      apart.push_back(x.size() - 1);
    }
  }
  const auto regressors = regressors_of(x, std::vector<float>(x.size(), 0.0F));
  for (const bool random_thresholds : {false, true}) {
    const auto count =
        first_splits(regressors, {0, 1}, {.max_columns = 10, .random_thresholds = random_thresholds}, 20000);
    std::vector<std::uint32_t> of_apart;
    of_apart.reserve(apart.size());
    for (const auto column : apart) {
      of_apart.push_back(count[column]);
    }
    EXPECT_EQ(std::accumulate(of_apart.begin(), of_apart.end(), 0U), 20000U);
    ASSERT_EQ(of_apart.size(), 57U);
    EXPECT_LT(chi_square(of_apart), 94.5);  // 99.9 % quantile with 56 degrees of freedom
  }
}

TEST(SubtreeGrower, TheBestColumnHasTheSplitAsOftenAsItIsDrawn) {
  // 20 columns, 4 of which vary, all alike but the best one; 5 draws, more while all are constant. The best
  // is drawn with 5/20; and where none of the four was among the five, it is the first of them with 1/4.
  const double none = 4368.0 / 15504.0;  // of 20 over 5, the choices among the other 16
  const double expected = 0.25 + 0.25 * none;
  const double rest = (1 - expected) / 3;
  for (const std::uint32_t cells : {6U, 100U, 1500U}) {
    SCOPED_TRACE(cells);
    std::vector<float> good(cells, 0.0F);
    std::fill(good.begin(), good.begin() + cells / 3, 1.0F);
    std::vector<float> fair(cells, 0.0F);
    std::fill(fair.begin(), fair.begin() + cells / 2, 1.0F);
    std::vector<double> y(good.begin(), good.end());
    y[0] = 0.9;  // so that the best is not pure
    Matrix x(20, std::vector<float>(cells, 0.0F));
    x[3] = x[11] = x[19] = fair;
    x[7] = good;
    x[5].assign(cells, 1.0F);
    const auto regressors = regressors_of(x, std::vector<float>(x.size(), 0.0F));
    constexpr std::uint32_t kStreams = 6000;
    const auto count = first_splits(regressors, y, {.max_columns = 5}, kStreams);
    const double spread = 4 * std::sqrt(0.25 * kStreams);
    EXPECT_NEAR(count[7], expected * kStreams, spread);
    for (const auto column : {3U, 11U, 19U}) {
      EXPECT_NEAR(count[column], rest * kStreams, spread);
    }
  }
}

}  // namespace
}  // namespace mgrn::baselines
