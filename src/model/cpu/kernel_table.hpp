// SPDX-License-Identifier: Apache-2.0
// The kernels of the including file's instruction set as one table. Included by the kernels_*.cpp only.
#pragma once

#include "model/cpu/encoder.hpp"
#include "model/cpu/pool.hpp"
#include "model/cpu/predictor.hpp"

namespace mgrn::model::cpu {
namespace {

void drain(float* part, int count, float* total) {
  for (int i = 0; i < count * kLanes; i += kLanes) {
    store(total + i, load(total + i) + load(part + i));
    store(part + i, Vector{});
  }
}

void collapse(const float* lanes, int count, float* values) {
  for (int i = 0; i < count; ++i) values[i] = sum(load(lanes + i * kLanes));
}

void exponential_array(const float* x, int count, float* y) {
  for (int i = 0; i < count; i += kLanes) store_loose(y + i, exponential(load_loose(x + i)));
}

void gelu_array(float* x, int count, std::uint8_t range, float* derivative) {
  if (derivative == nullptr) {
    gelu(x, 1, count, count, &range);
  } else {
    gelu_with_slope(x, derivative, 1, count, count, &range, [](int) {});
  }
}

constexpr Kernels kernel_table(const char* name) {
  return {.name = name,
          .lanes = kLanes,
          .encode = encode,
          .encode_backward = encode_backward,
          .predictor = predictor,
          .predictor_strips = predictor_strips,
          .predictor_flat_gradient = predictor_flat_gradient,
          .predictor_weight_gradient = predictor_weight_gradient,
          .predictor_exact_weight_gradient = predictor_exact_weight_gradient,
          .drain = drain,
          .collapse = collapse,
          .dense = dense,
          .dense_gradient = dense_gradient,
          .pool = pool,
          .pool_backward = pool_backward,
          .attention = attention,
          .attention_backward = attention_backward,
          .exponential = exponential_array,
          .gelu = gelu_array};
}

}  // namespace
}  // namespace mgrn::model::cpu
