// SPDX-License-Identifier: Apache-2.0
// The model in LibTorch operations with LibTorch's autograd: what the fused kernels are held against, and a
// device-independent fallback. Attention is scaled_dot_product_attention, which forms no N x N matrix.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "multigrnformer/model/engine.hpp"

namespace mgrn::model {

/// Engine kind `reference`, in float32. Sets LibTorch's threads to 1, because its sums depend on their
/// number. Throws UsageError for an instruction set other than auto: LibTorch chooses its own.
std::unique_ptr<Engine> make_reference_engine(const Shape& shape, int micro_batch,
                                              const EngineOptions& options);

/// One step in float64, for tests: weights as in Parameters::values(), the batch as in Engine::gradient.
struct ReferenceStep {
  std::vector<double> logits;
  double loss = 0;
  std::uint64_t live_hidden = 0;
  std::vector<double> gradient;  ///< as long as the weights; gaps are 0
};
ReferenceStep reference_step(const Shape& shape, std::span<const double> values, const MicroBatch& batch,
                             double dropout);

/// The encoder alone in float64, for tests: inputs [samples, N, width] -> the same shape.
std::vector<double> reference_encoder(const Shape& shape, std::span<const double> values, int samples,
                                      std::span<const double> inputs);

}  // namespace mgrn::model
