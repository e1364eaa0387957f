// SPDX-License-Identifier: Apache-2.0
// The predictor's kernels against sums in double precision, whatever is cut off by the rectifier.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "model/available_kernels.hpp"
#include "model/cpu/aligned.hpp"
#include "multigrnformer/base/philox.hpp"

namespace mgrn::model {
namespace {

struct Size {
  int rows, units, columns;
};

class Predictor : public testing::TestWithParam<Size> {
 protected:
  using Floats = cpu::Aligned<float>;

  static int rows() { return GetParam().rows; }
  static int units() { return GetParam().units; }
  static int columns() { return GetParam().columns; }
  static int stride() { return (columns() + cpu::kFlatPadding - 1) / cpu::kFlatPadding * cpu::kFlatPadding; }
  static std::size_t area(int height, int width) {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  }

  void fill(Floats& matrix, int height, int width, int row_stride) {
    for (int row = 0; row < height; ++row) {
      for (int column = 0; column < width; ++column) {
        matrix.data()[row * row_stride + column] = static_cast<float>(random_.normal());
      }
    }
  }

  /// Lists of every length: the first row has none, the last all, the others more and more.
  void fill_hidden_gradient(Floats& gradient) {
    for (int row = 0; row < rows(); ++row) {
      const double share = static_cast<double>(row) / (rows() - 1);
      for (int unit = 0; unit < units(); ++unit) {
        const double value = random_.normal();
        gradient.data()[row * units() + unit] = random_.uniform() < share ? static_cast<float>(value) : 0.0f;
      }
    }
  }

  /// value = start + term(0) + ... + term(count - 1), to a share of the sum of their sizes.
  template <typename Term>
  static void expect_sum(float value, double start, int count, const Term& term, bool rectified,
                         const char* kernels) {
    double exact = start, size = std::fabs(start);
    for (int i = 0; i < count; ++i) {
      exact += term(i);
      size += std::fabs(term(i));
    }
    ASSERT_NEAR(static_cast<double>(value), rectified ? std::max(exact, 0.0) : exact, 1e-6 * size + 1e-30)
        << kernels;
  }

  base::PhiloxStream random_{7, 21};
};

TEST_P(Predictor, BothWaysMatchDoublePrecision) {
  Floats flat(area(rows(), stride())), weight(area(units(), columns())), bias(area(units(), 1));
  Floats hidden_gradient(area(rows(), units()));
  fill(flat, rows(), columns(), stride());
  fill(weight, units(), columns(), columns());
  fill(bias, 1, units(), units());
  fill_hidden_gradient(hidden_gradient);
  const auto x = [&](int row, int column) {
    return static_cast<double>(flat.data()[row * stride() + column]);
  };
  const auto w = [&](int unit, int column) {
    return static_cast<double>(weight.data()[unit * columns() + column]);
  };
  const auto g = [&](int row, int unit) {
    return static_cast<double>(hidden_gradient.data()[row * units() + unit]);
  };
  const auto r = static_cast<std::size_t>(rows());
  const auto u = static_cast<std::size_t>(units());
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    Floats hidden(area(rows(), units())), strips(area(units(), stride()));
    Floats flat_gradient(area(rows(), stride())), weight_gradient(area(units(), columns()));
    Floats work(std::max({u * r * cpu::kMaxLanes + r * cpu::kColumnBlock, cpu::flat_gradient_room(r, u),
                          cpu::weight_gradient_room(r, u, 1)}));
    kernels->predictor(rows(), units(), columns(), flat.data(), stride(), weight.data(), bias.data(),
                       work.data(), hidden.data());
    kernels->predictor_strips(units(), columns(), weight.data(), strips.data());
    kernels->predictor_flat_gradient(rows(), units(), columns(), stride(), strips.data(),
                                     hidden_gradient.data(), work.data(), flat_gradient.data());
    kernels->predictor_weight_gradient(rows(), units(), columns(), flat.data(), stride(),
                                       hidden_gradient.data(), work.data(), weight_gradient.data());
    for (int row = 0; row < rows(); ++row) {
      for (int unit = 0; unit < units(); ++unit) {
        expect_sum(
            hidden.data()[row * units() + unit], static_cast<double>(bias.data()[unit]), columns(),
            [&](int column) { return x(row, column) * w(unit, column); }, true, kernels->name);
      }
      for (int column = 0; column < columns(); ++column) {
        expect_sum(
            flat_gradient.data()[row * stride() + column], 0, units(),
            [&](int unit) { return g(row, unit) * w(unit, column); }, false, kernels->name);
      }
    }
    for (int unit = 0; unit < units(); ++unit) {
      for (int column = 0; column < columns(); ++column) {
        expect_sum(
            weight_gradient.data()[unit * columns() + column], 0, rows(),
            [&](int row) { return g(row, unit) * x(row, column); }, false, kernels->name);
      }
    }
  }
}

// Around tiles of rows and units, strips and vectors; the usual size.
INSTANTIATE_TEST_SUITE_P(Sizes, Predictor,
                         testing::Values(Size{4, 1, 4}, Size{4, 2, 95}, Size{8, 3, 96}, Size{12, 13, 97},
                                         Size{16, 7, 600}, Size{16, 128, 2000}));

}  // namespace
}  // namespace mgrn::model
