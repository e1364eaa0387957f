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
inline constexpr std::uint32_t kApiVersion = 5;
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

/// A gene's columns in the caller's memory (pairs/column_image.hpp says how they lie).
struct GeneColumns {
  const void* cell_set;  ///< [blocks] of 32 bytes
  const void* values;
  std::uint64_t value_bytes;
  float rna_step, rp_step;
  std::int32_t rna_zero, rp_zero;
};

struct GeneTable {
  const GeneColumns* genes;
  std::int64_t gene_count;
  std::uint32_t cells;   ///< of the dataset
  std::uint32_t blocks;  ///< of each cell set
  std::int32_t from;     ///< kFromBoth, kFromEither or kFromAll
  std::int32_t atac;
};

/// A copy of a GeneTable's columns in the memory of a device.
struct HeldTable;

/// A sample to be made from columns that the device holds.
struct HeldRow {
  const HeldTable* table;
  std::uint32_t tf, gene;
  std::uint64_t cells_key, order_key;
  std::int32_t reordered;
};

/// How consecutive weights move (model/device_weights.hpp WeightGroup).
inline constexpr std::int32_t kRuleFrozen = 0, kRuleAdam = 1, kRuleDescent = 2;
struct UpdateGroup {
  std::int64_t first, last;
  std::int32_t rule;
  float weight_decay;
  float one_minus_beta1, beta2, one_minus_beta2, step_size, root_correction, epsilon;
  float rate, momentum;
};
/// Weights, moments and a mean gradient in the memory of a device.
struct Weights;

/// One micro-batch, in the caller's memory.
struct StepInputs {
  const float* weights = nullptr;         ///< [shape.weights]; null where they are held
  const Weights* held_weights = nullptr;  ///< null where weights are given
  const float* inputs = nullptr;          ///< [samples][cells][width]; null where rows are held
  const HeldRow* held = nullptr;  ///< [held_count], the other rows are padding; null where inputs are given
  std::int32_t held_count = 0;
  const float* labels = nullptr;          ///< [samples]; null for predictions
  const float* sample_weights = nullptr;  ///< [samples]; 0: padding, not looked at
  const std::uint32_t* masks =
      nullptr;  ///< [samples][layers][6 width][cells / 32 rounded up], with dropout only
};

struct StepOutputs {
  float* gradient = nullptr;  ///< [shape.weights]; null for predictions and accumulate
  float* logits = nullptr;    ///< [samples]; null where nobody asks
  double loss = 0;
  std::uint32_t live_hidden = 0;
  std::uint32_t without_cells =
      0;  ///< 1: a held row has no cells to draw from, and everything else is rubbish
};

struct Step;

struct Api {
  std::uint32_t version;
  /// Number of usable GPUs; where there is none, `message` says why.
  int (*device_count)(Message* message);
  /// What people know a GPU by: its maker's name and what it is to a compiler, "NVIDIA H100 80GB HBM3
  /// (sm_90)".
  int (*device_name)(int device, Message* name, Message* message);
  /// Null, and a message, where the shape does not fit or memory is short.
  Step* (*create)(const StepShape* shape, const Polynomial* polynomials, const float* positions, int device,
                  Message* message);
  void (*destroy)(Step* step);
  /// Copies columns to device number `device`, for samples of so many cells. Null, and a message, where its
  /// memory is short. Calls that use them must have returned before release().
  HeldTable* (*hold)(const GeneTable* table, int sample_cells, int device, Message* message);
  void (*release)(HeldTable* table);
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
  /// Weights with one or two moments, all of them `count` floats, on device number `device`; null, and a
  /// message, where its memory is short. What they do: model/device_weights.hpp. Pointers to sums are
  /// sum_place's, of the same device.
  Weights* (*make_weights)(std::int64_t count, int moments, int device, Message* message);
  void (*drop_weights)(Weights* weights);
  int (*put_weights)(Weights* weights, const float* values, const float* first, const float* second,
                     Message* message);
  int (*fetch_weights)(Weights* weights, float* values, float* first, float* second, Message* message);
  int (*add_sums)(Weights* weights, std::uint64_t* to, const std::uint64_t* from, Message* message);
  int (*take_gradient)(Weights* weights, const std::uint64_t* sum, std::uint64_t bias, double factor,
                       const UpdateGroup* groups, int group_count, Message* message);
  int (*squares)(Weights* weights, double* of_blocks, Message* message);
  int (*move_weights)(Weights* weights, float clip_factor, Message* message);
};

using ApiFunction = const Api* (*)(std::uint32_t version);

}  // namespace mgrn::model::cuda
