// SPDX-License-Identifier: Apache-2.0
// The seam between the program, which links nothing of CUDA, and the module library that holds the kernels:
// plain C, with a version that both sides compare. A function that can fail returns 0 for success and else
// writes a message.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/cuda/layout.hpp"

namespace mgrn::model::cuda {

/// Raised with every change of this file or of layout.hpp.
inline constexpr std::uint32_t kApiVersion = 1;
inline constexpr const char* kApiSymbol = "multigrnformer_cuda_api";

struct Message {
  char text[512];
};

struct StepShape {
  std::int32_t samples, cells, width, layers, hidden;
  std::int32_t dropout;  ///< 1: masks are handed in with every batch
  float dropout_scale;
  std::int32_t polynomial_count;
  std::int64_t weights;  ///< floats of the flat buffer of weights
  std::int64_t hidden_weight, hidden_bias, logit_weight, logit_bias;  ///< offsets into it
};

/// One micro-batch, in the caller's memory.
struct StepInputs {
  const float* weights;         ///< [shape.weights]
  const float* inputs;          ///< [samples][cells][width]
  const float* labels;          ///< [samples]; null for predictions
  const float* sample_weights;  ///< [samples]; 0: padding, not looked at
  const std::uint32_t* masks;   ///< [samples][layers][6 width][cells / 32 rounded up], with dropout only
};

struct StepOutputs {
  float* gradient;  ///< [shape.weights]; null for predictions
  float* logits;    ///< [samples]
  double loss;
  std::uint32_t live_hidden;
};

struct Step;

struct Api {
  std::uint32_t version;
  /// Number of usable GPUs; where there is none, `message` says why.
  int (*device_count)(Message* message);
  /// Null, and a message, where the shape does not fit or memory is short.
  Step* (*create)(const StepShape* shape, const Polynomial* polynomials, const float* positions, int device,
                  Message* message);
  void (*destroy)(Step* step);
  int (*predict)(Step* step, const StepInputs* inputs, StepOutputs* outputs, Message* message);
  int (*gradient)(Step* step, const StepInputs* inputs, StepOutputs* outputs, Message* message);
  /// The last gradient, added to a sum in 64-bit fixed point that stays on the device
  /// (train/fixed_point.hpp). `largest` receives the largest bits(|value|).
  int (*add_to_sum)(Step* step, double factor, std::uint32_t* largest, Message* message);
  /// Copies that sum, [shape.weights], and starts anew from zero.
  int (*take_sum)(Step* step, std::uint64_t* sum, Message* message);
};

using ApiFunction = const Api* (*)(std::uint32_t version);

}  // namespace mgrn::model::cuda
