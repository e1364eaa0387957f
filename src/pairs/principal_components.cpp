// SPDX-License-Identifier: Apache-2.0
#include "principal_components.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/base/progress.hpp"

namespace mgrn::pairs {

namespace {

// More directions than are wanted, and passes: what is left of the next component in the last wanted one
// falls by the square of their singular values' ratio in each.
constexpr int kOversampling = 8;
constexpr int kPasses = 24;
constexpr double kNothing = 1e-10;

/// Vectors over the cells, one after another.
class Block {
 public:
  Block(std::size_t vectors, std::size_t cells) : cells_(cells), values_(vectors * cells) {}
  std::size_t vectors() const { return values_.size() / std::max<std::size_t>(cells_, 1); }
  std::span<double> operator[](std::size_t vector) {
    return std::span(values_).subspan(vector * cells_, cells_);
  }
  std::vector<double>& values() { return values_; }

 private:
  std::size_t cells_;
  std::vector<double> values_;
};

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Gram-Schmidt, twice, which is enough; a vector that depends on those before becomes 0.
void orthonormalise(Block& block) {
  for (std::size_t i = 0; i < block.vectors(); ++i) {
    const double before = std::sqrt(dot(block[i], block[i]));
    for (int round = 0; round < 2; ++round) {
      for (std::size_t j = 0; j < i; ++j) {
        const double along = dot(block[i], block[j]);
        for (std::size_t n = 0; n < block[i].size(); ++n) {
          block[i][n] -= along * block[j][n];
        }
      }
    }
    const double length = std::sqrt(dot(block[i], block[i]));
    const double factor = length > kNothing * before ? 1 / length : 0;
    for (double& value : block[i]) {
      value *= factor;
    }
  }
}

// [rows][vectors]: the rows times each vector.
std::vector<double> products(std::span<const StandardRow> rows, Block& block) {
  const std::size_t vectors = block.vectors();
  std::vector<double> totals;
  for (std::size_t k = 0; k < vectors; ++k) {
    totals.push_back(std::accumulate(block[k].begin(), block[k].end(), 0.0));
  }
  std::vector<double> result(rows.size() * vectors);
  for (std::size_t g = 0; g < rows.size(); ++g) {
    for (std::size_t k = 0; k < vectors; ++k) {
      result[g * vectors + k] = rows[g].dot(block[k], totals[k]);
    }
  }
  return result;
}

// The other way: vector k becomes the sum of the rows times their coefficients.
void combine(std::span<const StandardRow> rows, std::span<const double> coefficients, Block& block) {
  const std::size_t vectors = block.vectors();
  for (std::size_t k = 0; k < vectors; ++k) {
    double constant = 0;
    std::fill(block[k].begin(), block[k].end(), 0.0);
    for (std::size_t g = 0; g < rows.size(); ++g) {
      const double factor = coefficients[g * vectors + k];
      constant += factor * rows[g].background;
      for (std::size_t i = 0; i < rows[g].cell.size(); ++i) {
        block[k][rows[g].cell[i]] += factor * (rows[g].value[i] - rows[g].background);
      }
    }
    for (double& value : block[k]) {
      value += constant;
    }
  }
}

// Eigenvectors of a symmetric matrix [n][n] as columns, by Jacobi's rotations; `matrix` keeps the eigenvalues
// on its diagonal.
std::vector<double> eigenvectors(std::vector<double>& matrix, std::size_t n) {
  std::vector<double> vectors(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    vectors[i * n + i] = 1;
  }
  for (int sweep = 0; sweep < 60; ++sweep) {
    double away = 0, size = 0;
    for (std::size_t i = 0; i < n * n; ++i) {
      size += matrix[i] * matrix[i];
      away += i % (n + 1) == 0 ? 0 : matrix[i] * matrix[i];
    }
    if (away <= 1e-30 * size) {
      break;
    }
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        const double off = matrix[p * n + q];
        if (off == 0) {
          continue;
        }
        const double theta = (matrix[q * n + q] - matrix[p * n + p]) / (2 * off);
        const double t = (theta >= 0 ? 1 : -1) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        const auto rotate = [&](double& a, double& b) {
          const double old = a;
          a = c * old - s * b;
          b = s * old + c * b;
        };
        for (std::size_t i = 0; i < n; ++i) {
          rotate(matrix[i * n + p], matrix[i * n + q]);
        }
        for (std::size_t i = 0; i < n; ++i) {
          rotate(matrix[p * n + i], matrix[q * n + i]);
        }
        for (std::size_t i = 0; i < n; ++i) {
          rotate(vectors[i * n + p], vectors[i * n + q]);
        }
      }
    }
  }
  return vectors;
}

}  // namespace

StandardRow::StandardRow(const store::GeneRow& row, double row_background, std::uint32_t cells)
    : cell(row.cell), value(row.value.begin(), row.value.end()), background(row_background) {
  const auto others = static_cast<double>(cells) - static_cast<double>(cell.size());
  const double mean =
      (std::accumulate(value.begin(), value.end(), 0.0) + others * background) / static_cast<double>(cells);
  double squares = others * (background - mean) * (background - mean);
  for (const double one : value) {
    squares += (one - mean) * (one - mean);
  }
  const double deviation = std::sqrt(squares / static_cast<double>(cells));
  const double factor = deviation > kNothing ? 1 / deviation : 0;
  background = (background - mean) * factor;
  for (double& one : value) {
    one = (one - mean) * factor;
  }
}

double StandardRow::dot(std::span<const double> weights, double total) const {
  double sum = background * total;
  for (std::size_t i = 0; i < cell.size(); ++i) {
    sum += (value[i] - background) * weights[cell[i]];
  }
  return sum;
}

std::vector<double> principal_components(std::span<const StandardRow> rows, std::uint32_t cells, int wanted,
                                         std::uint64_t seed) {
  const auto kept = static_cast<std::size_t>(wanted);
  const std::size_t vectors = std::min<std::size_t>(
      {kept + static_cast<std::size_t>(kOversampling), rows.size(), static_cast<std::size_t>(cells)});
  std::vector<double> result(kept * cells, 0.0);
  if (vectors == 0) {
    return result;
  }
  Block block(vectors, cells);
  base::PhiloxStream random(seed, 0);
  for (double& value : block.values()) {
    value = random.normal();
  }
  base::Progress progress("principal components", kPasses, "passes");
  std::vector<double> along;
  for (int pass = 0; pass < kPasses; ++pass) {
    orthonormalise(block);
    along = products(rows, block);
    combine(rows, along, block);
    progress.advance(1);
  }
  orthonormalise(block);
  along = products(rows, block);
  std::vector<double> gram(vectors * vectors);
  for (std::size_t g = 0; g < rows.size(); ++g) {
    for (std::size_t a = 0; a < vectors; ++a) {
      for (std::size_t b = 0; b < vectors; ++b) {
        gram[a * vectors + b] += along[g * vectors + a] * along[g * vectors + b];
      }
    }
  }
  const std::vector<double> turn = eigenvectors(gram, vectors);
  std::vector<std::size_t> order(vectors);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto strength = [&](std::size_t k) { return gram[k * vectors + k]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return strength(a) > strength(b); });
  for (std::size_t k = 0; k < std::min(kept, vectors); ++k) {
    if (strength(order[k]) <= kNothing * strength(order[0])) {
      break;
    }
    const auto component = std::span(result).subspan(k * cells, cells);
    for (std::size_t a = 0; a < vectors; ++a) {
      const double share = turn[a * vectors + order[k]];
      for (std::size_t n = 0; n < cells; ++n) {
        component[n] += share * block[a][n];
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
