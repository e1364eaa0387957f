// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/variable_genes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace mgrn::prepare {
namespace {

// A value and a slope of the fitted curve at one vertex.
struct Vertex {
  double x = 0.0;
  double value = 0.0;
  double slope = 0.0;
};

constexpr double kCellShare = 0.2;         // of the neighbourhood: the points a k-d cell may hold
constexpr double kBoundaryMargin = 0.005;  // the outer vertices stand this share of the range outside it

// Least squares of the normal equations `a` x = `b` of `unknowns` unknowns, by Cholesky's factors. False when
// the points do not determine the curve.
bool solve(std::array<std::array<double, 3>, 3> a, std::array<double, 3>& b, int unknowns) {
  constexpr double kSingular = 1e-12;
  for (int j = 0; j < unknowns; ++j) {
    const double scale = a[j][j];
    for (int k = 0; k < j; ++k) {
      a[j][j] -= a[j][k] * a[j][k];
    }
    if (!(a[j][j] > kSingular * scale) || scale <= 0.0) {
      return false;
    }
    a[j][j] = std::sqrt(a[j][j]);
    for (int i = j + 1; i < unknowns; ++i) {
      for (int k = 0; k < j; ++k) {
        a[i][j] -= a[i][k] * a[j][k];
      }
      a[i][j] /= a[j][j];
    }
  }
  for (int i = 0; i < unknowns; ++i) {
    for (int k = 0; k < i; ++k) {
      b[i] -= a[i][k] * b[k];
    }
    b[i] /= a[i][i];
  }
  for (int i = unknowns - 1; i >= 0; --i) {
    for (int k = i + 1; k < unknowns; ++k) {
      b[i] -= a[k][i] * b[k];
    }
    b[i] /= a[i][i];
  }
  return true;
}

// Points sorted by x, and a local fit anywhere among them.
class LocalRegression {
 public:
  LocalRegression(std::vector<double> x, std::vector<double> y, std::size_t neighbours)
      : x_(std::move(x)), y_(std::move(y)), neighbours_(neighbours) {}

  Vertex fit(double at) const {
    // The nearest points are a window of the sorted ones; widen it on the nearer side.
    auto first = static_cast<std::size_t>(std::lower_bound(x_.begin(), x_.end(), at) - x_.begin());
    std::size_t last = first;
    while (last - first < neighbours_) {
      const bool left = last == x_.size() || (first > 0 && at - x_[first - 1] <= x_[last] - at);
      left ? --first : ++last;
    }
    const double reach = std::max(std::abs(at - x_[first]), std::abs(x_[last - 1] - at));
    Vertex vertex{.x = at};
    std::array<std::array<double, 3>, 3> normal{};
    std::array<double, 3> right{};
    for (std::size_t i = first; i < last; ++i) {
      const double distance = reach > 0.0 ? (x_[i] - at) / reach : 0.0;  // in units of the reach
      const double closeness = 1.0 - std::abs(distance * distance * distance);
      const double weight = closeness * closeness * closeness;
      const std::array<double, 3> term = {1.0, distance, distance * distance};
      for (std::size_t r = 0; r < 3; ++r) {
        right[r] += weight * term[r] * y_[i];
        for (std::size_t c = 0; c <= r; ++c) {
          normal[r][c] += weight * term[r] * term[c];
        }
      }
    }
    for (int unknowns = 3; unknowns >= 1; --unknowns) {
      std::array<double, 3> solution = right;
      if (solve(normal, solution, unknowns)) {
        vertex.value = solution[0];
        vertex.slope = unknowns > 1 ? solution[1] / reach : 0.0;
        return vertex;
      }
    }
    // Every neighbour sits exactly at the edge of its own reach: they count alike.
    vertex.value = std::accumulate(y_.begin() + static_cast<std::ptrdiff_t>(first),
                                   y_.begin() + static_cast<std::ptrdiff_t>(last), 0.0) /
                   static_cast<double>(last - first);
    return vertex;
  }

  // The cuts of a k-d tree over the sorted points first .. last-1, which lie between two vertices: halves at
  // the middle point until at most `most` points are left, or the middle point is a vertex already.
  void cut(std::size_t first, std::size_t last, std::size_t most, double below, double above,
           std::vector<double>& cuts) const {
    if (last - first <= most) {
      return;
    }
    const std::size_t middle = first + (last - first - 1) / 2;
    const double at = x_[middle];
    if (at == below || at == above) {
      return;
    }
    cuts.push_back(at);
    cut(first, middle + 1, most, below, at, cuts);
    cut(middle + 1, last, most, at, above, cuts);
  }

  double least() const { return x_.front(); }
  double most() const { return x_.back(); }
  std::size_t size() const { return x_.size(); }

 private:
  std::vector<double> x_;
  std::vector<double> y_;
  std::size_t neighbours_;
};

double blend(const Vertex& left, const Vertex& right, double x) {
  const double width = right.x - left.x;
  const double t = (x - left.x) / width;
  const double u = 1.0 - t;
  return u * u * (1.0 + 2.0 * t) * left.value + t * t * (3.0 - 2.0 * t) * right.value +
         width * (u * u * t * left.slope - t * t * u * right.slope);
}

}  // namespace

CountMoments count_moments(std::span<const float> counts, std::uint64_t cells) {
  CountMoments result;
  if (cells < 2) {
    return result;
  }
  double sum = 0.0;
  for (const float count : counts) {
    sum += static_cast<double>(count);
  }
  result.mean = sum / static_cast<double>(cells);
  const bool constant = counts.empty() || (counts.size() == cells &&
                                           std::all_of(counts.begin(), counts.end(),
                                                       [&](float count) { return count == counts.front(); }));
  if (constant) {
    return result;
  }
  double squares = 0.0;
  for (const float count : counts) {
    const double distance = static_cast<double>(count) - result.mean;
    squares += distance * distance;
  }
  squares += static_cast<double>(cells - counts.size()) * result.mean * result.mean;
  result.variance = squares / static_cast<double>(cells - 1);
  return result;
}

std::vector<double> loess(std::span<const double> x, std::span<const double> y, double span) {
  const std::size_t n = x.size();
  if (n == 0) {
    return {};
  }
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return x[a] != x[b] ? x[a] < x[b] : (y[a] != y[b] ? y[a] < y[b] : a < b);
  });
  std::vector<double> sorted_x(n);
  std::vector<double> sorted_y(n);
  for (std::size_t i = 0; i < n; ++i) {
    sorted_x[i] = x[order[i]];
    sorted_y[i] = y[order[i]];
  }
  const auto points = static_cast<double>(n);
  const auto neighbours =
      std::clamp<std::size_t>(static_cast<std::size_t>(points * span + 1e-5), std::min<std::size_t>(n, 3), n);
  const auto leaf = std::max<std::size_t>(1, static_cast<std::size_t>(points * span * kCellShare));
  const LocalRegression regression(std::move(sorted_x), std::move(sorted_y), neighbours);

  const double range = regression.most() - regression.least();
  const double margin =
      kBoundaryMargin *
      std::max(range, 1e-10 * std::max(std::abs(regression.least()), std::abs(regression.most())) + 1e-30);
  std::vector<double> places = {regression.least() - margin, regression.most() + margin};
  regression.cut(0, n, leaf, places[0], places[1], places);
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  std::vector<Vertex> vertices;
  vertices.reserve(places.size());
  for (const double place : places) {
    vertices.push_back(regression.fit(place));
  }
  std::vector<double> fitted(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto right = std::upper_bound(vertices.begin() + 1, vertices.end() - 1, x[i],
                                        [](double value, const Vertex& vertex) { return value < vertex.x; });
    fitted[i] = blend(*(right - 1), *right, x[i]);
  }
  return fitted;
}

std::vector<double> expected_deviations(std::span<const CountMoments> genes) {
  constexpr double kSpan = 0.3;
  std::vector<double> x;
  std::vector<double> y;
  std::vector<std::size_t> index;
  for (std::size_t gene = 0; gene < genes.size(); ++gene) {
    if (genes[gene].variance > 0.0) {
      x.push_back(std::log10(genes[gene].mean));
      y.push_back(std::log10(genes[gene].variance));
      index.push_back(gene);
    }
  }
  const std::vector<double> fitted = loess(x, y, kSpan);
  std::vector<double> deviations(genes.size(), 0.0);
  for (std::size_t i = 0; i < index.size(); ++i) {
    deviations[index[i]] = std::sqrt(std::pow(10.0, fitted[i]));
  }
  return deviations;
}

double standardised_variance(std::span<const float> counts, std::uint64_t cells, double mean,
                             double expected_deviation) {
  if (expected_deviation <= 0.0 || cells < 2) {
    return 0.0;
  }
  const double most = std::sqrt(static_cast<double>(cells));
  double squares = 0.0;
  for (const float count : counts) {
    const double z = std::min((static_cast<double>(count) - mean) / expected_deviation, most);
    squares += z * z;
  }
  const double z = mean / expected_deviation;
  squares += static_cast<double>(cells - counts.size()) * z * z;
  return squares / static_cast<double>(cells - 1);
}

}  // namespace mgrn::prepare
