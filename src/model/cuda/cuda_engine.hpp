// SPDX-License-Identifier: Apache-2.0
// The engine whose step runs as CUDA kernels. The program links nothing of CUDA: kernels and CUDA's own
// libraries come with a module library, opened when a GPU is asked for.
#pragma once

#include <memory>
#include <string>

#include "model/cuda/step_api.hpp"
#include "multigrnformer/model/engine.hpp"

namespace mgrn::model::cuda {

/// Opens the module library: `path`, or where that is empty beside the program, in the installation's lib
/// folder, or where the loader looks. It stays open. Throws UsageError with what is missing.
const Api& open_module(const std::string& path = {});

/// Kinds auto and linear, heads of one column, widths 4, 6 and 8. Throws UsageError for anything else, for a
/// sample too large for a block's memory, and where there is no GPU.
std::unique_ptr<Engine> make_cuda_engine(const Shape& shape, int micro_batch, const EngineOptions& options,
                                         const Api& api);

}  // namespace mgrn::model::cuda
