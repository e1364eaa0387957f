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
inline constexpr std::uint32_t kApiVersion = 2;
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
  float* gradient;  ///< [shape.weights]; null for predictions and accumulate
  float* logits;    ///< [samples]; null where nobody asks
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
  /// A sum of gradients in 64-bit fixed point that stays on the device, [shape.weights]. begin_sum makes it
  /// zero; accumulate adds one micro-batch's gradient times `factor` as model/fixed_point.hpp does, and tells
  /// the largest bits(|value|); take_sum copies it. sum_place is where it lies there, all additions done.
  int (*begin_sum)(Step* step, Message* message);
  int (*accumulate)(Step* step, const StepInputs* inputs, double factor, StepOutputs* outputs,
                    std::uint32_t* largest, Message* message);
  int (*sum_place)(Step* step, std::uint64_t** place, Message* message);
  int (*take_sum)(Step* step, std::uint64_t* sum, Message* message);
};

using ApiFunction = const Api* (*)(std::uint32_t version);

}  // namespace mgrn::model::cuda
