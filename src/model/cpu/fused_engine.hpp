// SPDX-License-Identifier: Apache-2.0
// The fused CPU step: forward and backward in hand-written kernels, no autograd graph, no allocation after
// construction. Kinds `quadratic` and `linear` differ in attention alone.
#pragma once

#include <memory>

#include "multigrnformer/model/engine.hpp"

namespace mgrn::model::cpu {

/// kind: auto (linear where every head is one column wide, else quadratic), linear, quadratic. Throws
/// UsageError for an unknown or unavailable instruction set, for linear with heads != width, and for a
/// dropout outside [0, 1).
std::unique_ptr<Engine> make_fused_engine(const Shape& shape, int micro_batch, const EngineOptions& options);

}  // namespace mgrn::model::cpu
