// SPDX-License-Identifier: Apache-2.0
// What the model can be computed on, for people.
#pragma once

#include <string>

namespace mgrn::model {

/// "2 GPUs that the CUDA kernels can use", or what is missing. Opens the module library of the kernels.
std::string describe_cuda();

/// GPUs that the CUDA kernels can use, 0 where they or their module are missing.
int usable_gpus();

}  // namespace mgrn::model
