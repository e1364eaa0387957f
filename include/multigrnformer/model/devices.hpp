// SPDX-License-Identifier: Apache-2.0
// What the model can be computed on, for people.
#pragma once

#include <string>
#include <string_view>

namespace mgrn::model {

/// "1 GPU that the CUDA kernels can use: NVIDIA H100 80GB HBM3 (sm_90)", or what is missing. Opens the module
/// library of the kernels.
std::string describe_cuda();

/// GPUs that the CUDA kernels can use, 0 where they or their module are missing.
int usable_gpus();

/// "NVIDIA H100 80GB HBM3 (sm_90)", or "unknown: " and why GPU number `gpu` cannot be named: LibTorch's
/// engine may compute on one where the module library, which knows the names, is missing.
std::string gpu_name(int gpu);

/// Whether an engine of this name (Engine::name) computes on a GPU.
bool is_gpu_engine(std::string_view engine_name);

}  // namespace mgrn::model
