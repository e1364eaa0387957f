// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "multigrnformer/model/engine.hpp"

namespace mgrn::model::tensor {

/// Engine kind `tensor`: the whole step in ATen operations with gradients written by hand, on options.device
/// (cpu or cuda); linear-time attention for heads of one column, else quadratic. Sets LibTorch's threads to
/// 1, because its sums depend on their number. Throws UsageError for an instruction set other than auto, and
/// for a device that this machine or LibTorch lacks. `holds` columns (Engine::hold) on a GPU, or on any
/// device: on the processor that gains nothing but can be tested.
enum class Holds { on_gpu, anywhere };
std::unique_ptr<Engine> make_tensor_engine(const Shape& shape, int micro_batch, const EngineOptions& options,
                                           Holds holds = Holds::on_gpu);

}  // namespace mgrn::model::tensor
