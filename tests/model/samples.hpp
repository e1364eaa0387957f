// SPDX-License-Identifier: Apache-2.0
// Micro-batches that look like prepared data: sparse z-scores clipped at 10, repeated cells, and labels.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/model/engine.hpp"

namespace mgrn::model::test {

struct Samples {
  std::vector<float> inputs, labels, weights;
  std::vector<std::uint64_t> names;
  MicroBatch batch() const { return {static_cast<int>(labels.size()), inputs, labels, weights, names}; }
};

/// z-scores of a sparse count matrix: most entries slightly negative, a few far out, clipped at 10.
inline Samples make_samples(const Shape& shape, int count, std::uint64_t seed) {
  Samples result;
  base::PhiloxStream random(seed, 1);
  const std::size_t size = static_cast<std::size_t>(shape.cells * shape.columns());
  for (int sample = 0; sample < count; ++sample) {
    for (std::size_t i = 0; i < size; ++i) {
      double value = -0.3 + 0.05 * random.normal();
      if (random.uniform() < 0.35) value = std::exp(0.9 * random.normal()) - 0.2;
      result.inputs.push_back(static_cast<float>(std::min(value, 10.0)));
    }
    result.labels.push_back(sample % 2 == 0 ? 1.0f : 0.0f);
    result.weights.push_back(1.0f);
    result.names.push_back(base::NameHash{}.add(seed).add(static_cast<std::uint64_t>(sample)).value());
  }
  return result;
}

/// Initial weights, with biases and norms moved off their special values. `sharpness` multiplies the query
/// and key weights, and so the range of the scores by its square.
inline Parameters make_parameters(const Shape& shape, std::uint64_t seed, double sharpness = 1.0) {
  Parameters parameters(shape);
  initialise(parameters, seed);
  base::PhiloxStream random(seed, 2);
  for (const ParameterView& view : parameters.views()) {
    const std::span<float> values = parameters.tensor(view.name);
    if (view.shape.size() == 1) {
      for (float& value : values) value += static_cast<float>(0.2 * random.normal());
    }
    if (view.name.find("in_proj_weight") != std::string::npos) {
      for (std::size_t i = 0; i < values.size() * 2 / 3; ++i) values[i] *= static_cast<float>(sharpness);
    }
  }
  return parameters;
}

/// |a - b| / |b| in the Euclidean norm; 0 where both are zero.
template <typename A, typename B>
double relative_error(const A& got, const B& expected) {
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(static_cast<double>(got[i]) - static_cast<double>(expected[i]), 2);
    size += std::pow(static_cast<double>(expected[i]), 2);
  }
  return difference == 0 ? 0 : std::sqrt(difference / size);
}

}  // namespace mgrn::model::test
