// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/principal_components.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/base/progress.hpp"

namespace mgrn::pairs {

namespace {

// Directions beyond those that are wanted: they let the last of these converge.
constexpr std::size_t kOversampling = 10;
constexpr double kNothing = 1e-10;

/// Row-major, so that an entry of a profile meets all vectors at once.
class Matrix {
 public:
  Matrix(std::size_t rows, std::size_t columns) : columns_(columns), values_(rows * columns) {}
  std::size_t rows() const { return columns_ == 0 ? 0 : values_.size() / columns_; }
  std::size_t columns() const { return columns_; }
  double* operator[](std::size_t row) { return values_.data() + row * columns_; }
  const double* operator[](std::size_t row) const { return values_.data() + row * columns_; }
  std::vector<double>& values() { return values_; }

 private:
  std::size_t columns_;
  std::vector<double> values_;
};

// to += factor * from
void add(std::span<double> to, double factor, const double* from) {
  for (std::size_t k = 0; k < to.size(); ++k) {
    to[k] += factor * from[k];
  }
}

// Gram-Schmidt, twice, which is enough; a column that depends on those before becomes 0.
void orthonormalise(Matrix& q) {
  const auto length = [&](std::size_t k) {
    double squares = 0;
    for (std::size_t r = 0; r < q.rows(); ++r) {
      squares += q[r][k] * q[r][k];
    }
    return std::sqrt(squares);
  };
  std::vector<double> room(q.columns());
  for (std::size_t k = 0; k < q.columns(); ++k) {
    const double before = length(k);
    const auto along = std::span(room).first(k);
    for (int round = 0; round < 2; ++round) {
      std::ranges::fill(along, 0.0);
      for (std::size_t r = 0; r < q.rows(); ++r) {
        add(along, q[r][k], q[r]);
      }
      for (std::size_t r = 0; r < q.rows(); ++r) {
        q[r][k] -= std::inner_product(along.begin(), along.end(), q[r], 0.0);
      }
    }
    const double after = length(k);
    const double factor = after > kNothing * before ? 1 / after : 0;
    for (std::size_t r = 0; r < q.rows(); ++r) {
      q[r][k] *= factor;
    }
  }
}

// profiles x vectors: the profiles times each vector over the cells.
Matrix products(std::span<const Profile> profiles, const Matrix& vectors) {
  std::vector<double> totals(vectors.columns());
  for (std::size_t n = 0; n < vectors.rows(); ++n) {
    add(totals, 1, vectors[n]);
  }
  Matrix result(profiles.size(), vectors.columns());
  for (std::size_t g = 0; g < profiles.size(); ++g) {
    const Profile& profile = profiles[g];
    const std::span to(result[g], vectors.columns());
    for (std::size_t i = 0; i < profile.cell.size(); ++i) {
      add(to, profile.value[i] - profile.background, vectors[profile.cell[i]]);
    }
    add(to, profile.background, totals.data());
  }
  return result;
}

// The other way, cells x vectors: the sum of the profiles times their coefficients.
Matrix combined(std::span<const Profile> profiles, const Matrix& coefficients, std::size_t cells) {
  Matrix result(cells, coefficients.columns());
  std::vector<double> constant(coefficients.columns());
  for (std::size_t g = 0; g < profiles.size(); ++g) {
    const Profile& profile = profiles[g];
    for (std::size_t i = 0; i < profile.cell.size(); ++i) {
      add({result[profile.cell[i]], constant.size()}, profile.value[i] - profile.background, coefficients[g]);
    }
    add(constant, profile.background, coefficients[g]);
  }
  for (std::size_t n = 0; n < cells; ++n) {
    add({result[n], constant.size()}, 1, constant.data());
  }
  return result;
}

Matrix gram(const Matrix& rows) {
  Matrix result(rows.columns(), rows.columns());
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    for (std::size_t a = 0; a < rows.columns(); ++a) {
      add({result[a], rows.columns()}, rows[r][a], rows[r]);
    }
  }
  return result;
}

// Eigenvectors of a symmetric matrix as columns, by Jacobi's rotations; `matrix` keeps the eigenvalues on its
// diagonal.
Matrix eigenvectors(Matrix& matrix) {
  const std::size_t n = matrix.columns();
  Matrix vectors(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    vectors[i][i] = 1;
  }
  for (int sweep = 0; sweep < 60; ++sweep) {
    double away = 0, size = 0;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        const double square = matrix[i][j] * matrix[i][j];
        size += square;
        away += i == j ? 0 : square;
      }
    }
    if (away <= 1e-30 * size) {
      break;
    }
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        const double off = matrix[p][q];
        if (off == 0) {
          continue;
        }
        const double theta = (matrix[q][q] - matrix[p][p]) / (2 * off);
        const double t = (theta >= 0 ? 1 : -1) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        const auto rotate = [&](double& a, double& b) {
          const double old = a;
          a = c * old - s * b;
          b = s * old + c * b;
        };
        for (std::size_t i = 0; i < n; ++i) {
          rotate(matrix[i][p], matrix[i][q]);
        }
        for (std::size_t i = 0; i < n; ++i) {
          rotate(matrix[p][i], matrix[q][i]);
        }
        for (std::size_t i = 0; i < n; ++i) {
          rotate(vectors[i][p], vectors[i][q]);
        }
      }
    }
  }
  return vectors;
}

Profile scaled(Profile profile, double mean, double factor) {
  for (double& value : profile.value) {
    value = (value - mean) * factor;
  }
  profile.background = (profile.background - mean) * factor;
  return profile;
}

double mean_of(const Profile& profile, std::uint32_t all_cells) {
  const double others = static_cast<double>(all_cells) - static_cast<double>(profile.cell.size());
  return (std::accumulate(profile.value.begin(), profile.value.end(), 0.0) + others * profile.background) /
         static_cast<double>(all_cells);
}

}  // namespace

double Profile::dot(std::span<const double> weights, double total) const {
  double sum = background * total;
  for (std::size_t i = 0; i < cell.size(); ++i) {
    sum += (value[i] - background) * weights[cell[i]];
  }
  return sum;
}

Profile centred(std::span<const std::uint32_t> cells, std::span<const float> values, double background,
                std::uint32_t all_cells) {
  Profile raw{.cell = {cells.begin(), cells.end()},
              .value = {values.begin(), values.end()},
              .background = background};
  const double mean = mean_of(raw, all_cells);
  return scaled(std::move(raw), mean, 1);
}

Profile standardised(const store::GeneRow& row, double background, std::uint32_t all_cells) {
  Profile profile = centred(row.cell, row.value, background, all_cells);
  const double others = static_cast<double>(all_cells) - static_cast<double>(profile.cell.size());
  const double squares =
      others * profile.background * profile.background +
      std::inner_product(profile.value.begin(), profile.value.end(), profile.value.begin(), 0.0);
  const double deviation = std::sqrt(squares / static_cast<double>(all_cells));
  return scaled(std::move(profile), 0, deviation > kNothing ? 1 / deviation : 0);
}

std::vector<double> principal_components(std::span<const Profile> profiles, std::uint32_t cells,
                                         std::size_t wanted, int passes, std::uint64_t seed) {
  std::vector<double> result(wanted * cells, 0.0);
  const std::size_t width =
      std::min<std::size_t>({wanted + kOversampling, profiles.size(), static_cast<std::size_t>(cells)});
  if (width == 0) {
    return result;
  }
  Matrix block(cells, width);
  base::PhiloxStream random(seed, 0);
  for (double& value : block.values()) {
    value = random.normal();
  }
  base::Progress progress("principal components", static_cast<std::uint64_t>(passes), "passes");
  for (int pass = 0; pass < passes; ++pass) {
    orthonormalise(block);
    block = combined(profiles, products(profiles, block), cells);
    progress.advance(1);
  }
  orthonormalise(block);
  Matrix squares = gram(products(profiles, block));
  const Matrix turn = eigenvectors(squares);
  std::vector<std::size_t> order(width);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto strength = [&](std::size_t k) { return squares[k][k]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return strength(a) > strength(b); });
  for (std::size_t k = 0; k < std::min(wanted, width); ++k) {
    if (strength(order[k]) <= kNothing * strength(order[0])) {
      break;
    }
    const auto component = std::span(result).subspan(k * cells, cells);
    for (std::size_t n = 0; n < cells; ++n) {
      for (std::size_t a = 0; a < width; ++a) {
        component[n] += turn[a][order[k]] * block[n][a];
      }
    }
    const double largest = *std::max_element(component.begin(), component.end(),
                                             [](double a, double b) { return std::fabs(a) < std::fabs(b); });
    if (largest < 0) {
      for (double& value : component) {
        value = -value;
      }
    }
  }
  return result;
}

}  // namespace mgrn::pairs
