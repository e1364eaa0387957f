// SPDX-License-Identifier: Apache-2.0
// The CPU step of the pooling readout (Readout::pool): forward and backward in hand-written kernels,
// vectorised over cells, no autograd graph, no allocation after construction.
#pragma once

#include <memory>

#include "multigrnformer/model/engine.hpp"

namespace mgrn::model::cpu {

/// kind: auto. Throws UsageError for kinds that stand for a way of attention, for dropout and for an unknown
/// or unavailable instruction set.
std::unique_ptr<Engine> make_pool_engine(const Shape& shape, int micro_batch, const EngineOptions& options);

}  // namespace mgrn::model::cpu
