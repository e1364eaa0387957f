// SPDX-License-Identifier: Apache-2.0
// What all engines share: checks of what a caller hands in, and the loss of one sample.
#pragma once

#include <span>

#include "multigrnformer/model/engine.hpp"

namespace mgrn::model {

/// Throws UsageError for a kind, a micro-batch or a dropout that no engine can take.
void check_options(int micro_batch, const EngineOptions& options);
/// Throws UsageError for dropout with Readout::pool.
void check_pooling_dropout(const Shape& shape, const EngineOptions& options);
/// Throws InternalError where spans do not fit the shape: a defect of the caller, not of the user.
void check_prediction(const Shape& shape, const Parameters& parameters, int samples,
                      std::span<const float> inputs, std::span<const float> logits);
/// `holds`: the engine may have held samples made, here and below.
void check_micro_batch(const Shape& shape, const Parameters& parameters, const MicroBatch& batch,
                       std::span<const float> gradient, int micro_batch, bool needs_names,
                       bool holds = false);
void require_held(std::span<const HeldSample> held, int most, bool holds);

struct LossTerm {
  double loss;
  double slope;  ///< d loss / d logit
};

/// weight times the binary cross entropy of a logit; the slope keeps its relative accuracy where the
/// probability saturates.
LossTerm binary_cross_entropy(double logit, double label, double weight);

}  // namespace mgrn::model
