// SPDX-License-Identifier: Apache-2.0
#include "principal_components.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "multigrnformer/base/philox.hpp"

namespace mgrn::baselines {
namespace {

constexpr std::size_t kBeyond = 10;  // directions beyond those asked for: they let the last ones converge
constexpr int kMostIterations = 15;
constexpr double kStandsStill = 1e-10;  // largest relative change of a component's variance
constexpr double kNothing = 1e-12;      // of the largest variance: rounding

/// Row-major.
struct Matrix {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<double> values;

  Matrix(std::size_t r, std::size_t c) : rows(r), columns(c), values(r * c) {}
  double* row(std::size_t r) { return values.data() + r * columns; }
  const double* row(std::size_t r) const { return values.data() + r * columns; }
};

/// The genes' profiles less their means, never formed.
class CentredProfiles {
 public:
  CentredProfiles(const std::vector<Deviations>& genes, std::uint32_t cells) : genes_(genes), cells_(cells) {
    for (const auto& gene : genes) {
      const double sum = std::accumulate(gene.value.begin(), gene.value.end(), 0.0);
      means_.push_back(sum / static_cast<double>(cells));
    }
  }

  /// cells x k from genes x k.
  Matrix transposed_times(const Matrix& q) const {
    Matrix product(cells_, q.columns);
    std::vector<double> shift(q.columns);
    for (std::size_t g = 0; g < genes_.size(); ++g) {
      const double* from = q.row(g);
      for (std::size_t i = 0; i < genes_[g].cell.size(); ++i) {
        double* to = product.row(genes_[g].cell[i]);
        const auto value = static_cast<double>(genes_[g].value[i]);
        for (std::size_t k = 0; k < q.columns; ++k) {
          to[k] += value * from[k];
        }
      }
      for (std::size_t k = 0; k < q.columns; ++k) {
        shift[k] += means_[g] * from[k];
      }
    }
    for (std::size_t c = 0; c < product.rows; ++c) {
      for (std::size_t k = 0; k < q.columns; ++k) {
        product.row(c)[k] -= shift[k];
      }
    }
    return product;
  }

  /// genes x k from cells x k.
  Matrix times(const Matrix& b) const {
    Matrix product(genes_.size(), b.columns);
    std::vector<double> sums(b.columns);
    for (std::size_t c = 0; c < b.rows; ++c) {
      for (std::size_t k = 0; k < b.columns; ++k) {
        sums[k] += b.row(c)[k];
      }
    }
    for (std::size_t g = 0; g < genes_.size(); ++g) {
      double* to = product.row(g);
      for (std::size_t i = 0; i < genes_[g].cell.size(); ++i) {
        const double* from = b.row(genes_[g].cell[i]);
        const auto value = static_cast<double>(genes_[g].value[i]);
        for (std::size_t k = 0; k < b.columns; ++k) {
          to[k] += value * from[k];
        }
      }
      for (std::size_t k = 0; k < b.columns; ++k) {
        to[k] -= means_[g] * sums[k];
      }
    }
    return product;
  }

 private:
  const std::vector<Deviations>& genes_;
  std::uint32_t cells_;
  std::vector<double> means_;
};

/// Gram-Schmidt, each column twice against those before it. A column that the others span becomes 0.
void orthonormalise(Matrix& q) {
  for (std::size_t k = 0; k < q.columns; ++k) {
    double before = 0;
    for (std::size_t r = 0; r < q.rows; ++r) {
      before += q.row(r)[k] * q.row(r)[k];
    }
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t other = 0; other < k; ++other) {
        double product = 0;
        for (std::size_t r = 0; r < q.rows; ++r) {
          product += q.row(r)[k] * q.row(r)[other];
        }
        for (std::size_t r = 0; r < q.rows; ++r) {
          q.row(r)[k] -= product * q.row(r)[other];
        }
      }
    }
    double squares = 0;
    for (std::size_t r = 0; r < q.rows; ++r) {
      squares += q.row(r)[k] * q.row(r)[k];
    }
    const double scale = squares > kNothing * kNothing * before ? 1 / std::sqrt(squares) : 0.0;
    for (std::size_t r = 0; r < q.rows; ++r) {
      q.row(r)[k] *= scale;
    }
  }
}

struct Eigen {
  std::vector<double> values;  ///< largest first
  Matrix vectors;              ///< in columns, in that order
};

/// Of a small symmetric matrix, by Jacobi's rotations.
Eigen eigen_of(Matrix a) {
  const std::size_t n = a.rows;
  Matrix v(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    v.row(i)[i] = 1;
  }
  for (int sweep = 0; sweep < 60; ++sweep) {
    double off = 0;
    double on = 0;
    for (std::size_t i = 0; i < n; ++i) {
      on += a.row(i)[i] * a.row(i)[i];
      for (std::size_t j = i + 1; j < n; ++j) {
        off += a.row(i)[j] * a.row(i)[j];
      }
    }
    if (off <= 1e-30 * on) {
      break;
    }
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        const double apq = a.row(p)[q];
        if (apq == 0) {
          continue;
        }
        const double theta = (a.row(q)[q] - a.row(p)[p]) / (2 * apq);
        const double t = (theta >= 0 ? 1 : -1) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1);
        const double s = t * c;
        for (std::size_t i = 0; i < n; ++i) {
          const double aip = a.row(i)[p];
          const double aiq = a.row(i)[q];
          a.row(i)[p] = c * aip - s * aiq;
          a.row(i)[q] = s * aip + c * aiq;
        }
        for (std::size_t i = 0; i < n; ++i) {
          const double api = a.row(p)[i];
          const double aqi = a.row(q)[i];
          a.row(p)[i] = c * api - s * aqi;
          a.row(q)[i] = s * api + c * aqi;
          const double vip = v.row(i)[p];
          const double viq = v.row(i)[q];
          v.row(i)[p] = c * vip - s * viq;
          v.row(i)[q] = s * vip + c * viq;
        }
      }
    }
  }
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t i, std::size_t j) { return a.row(i)[i] > a.row(j)[j]; });
  Eigen result{.values = {}, .vectors = Matrix(n, n)};
  for (std::size_t k = 0; k < n; ++k) {
    result.values.push_back(a.row(order[k])[order[k]]);
    for (std::size_t i = 0; i < n; ++i) {
      result.vectors.row(i)[k] = v.row(i)[order[k]];
    }
  }
  return result;
}

Matrix squares_of(const Matrix& b) {
  Matrix product(b.columns, b.columns);
  for (std::size_t c = 0; c < b.rows; ++c) {
    const double* row = b.row(c);
    for (std::size_t i = 0; i < b.columns; ++i) {
      for (std::size_t j = 0; j < b.columns; ++j) {
        product.row(i)[j] += row[i] * row[j];
      }
    }
  }
  return product;
}

}  // namespace

std::vector<double> principal_components(const std::vector<Deviations>& genes, std::uint32_t cells,
                                         std::size_t components, std::uint64_t seed) {
  const std::size_t possible = std::min<std::size_t>(genes.size(), cells);
  const std::size_t wanted = std::min(components, possible);
  const std::size_t width = std::min(wanted + kBeyond, possible);
  const CentredProfiles profiles(genes, cells);
  Matrix q(genes.size(), width);
  base::PhiloxStream random(seed, base::NameHash().add("principal components").value());
  for (double& value : q.values) {
    value = random.normal();
  }
  orthonormalise(q);
  Eigen eigen{.values = {}, .vectors = Matrix(0, 0)};
  std::vector<double> before(width, 0.0);
  for (int iteration = 0; iteration < kMostIterations; ++iteration) {
    const Matrix b = profiles.transposed_times(q);
    eigen = eigen_of(squares_of(b));
    double change = 0;
    for (std::size_t k = 0; k < wanted; ++k) {
      if (eigen.values[k] > kNothing * eigen.values[0]) {
        change = std::max(change, std::fabs(eigen.values[k] - before[k]) / eigen.values[k]);
      }
    }
    if (change <= kStandsStill) {
      break;
    }
    before = eigen.values;
    q = profiles.times(b);
    orthonormalise(q);
  }
  std::vector<double> loadings(genes.size() * components, 0.0);
  for (std::size_t k = 0; k < wanted; ++k) {
    if (!(eigen.values[k] > kNothing * eigen.values[0])) {
      break;
    }
    const double scale = std::sqrt(eigen.values[k]);
    double largest = 0;
    for (std::size_t g = 0; g < genes.size(); ++g) {
      double sum = 0;
      for (std::size_t i = 0; i < width; ++i) {
        sum += q.row(g)[i] * eigen.vectors.row(i)[k];
      }
      loadings[g * components + k] = sum * scale;
      largest = std::fabs(sum) > std::fabs(largest) ? sum : largest;
    }
    for (std::size_t g = 0; largest < 0 && g < genes.size(); ++g) {
      loadings[g * components + k] *= -1;
    }
  }
  return loadings;
}

}  // namespace mgrn::baselines
