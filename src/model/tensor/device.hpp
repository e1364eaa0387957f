// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace mgrn::model::tensor {

/// The device of that name, cpu or cuda, for cuda number `gpu` of those that the process sees. For cuda
/// LibTorch's CUDA library is loaded here, so that a build needs none. Throws UsageError with what is
/// missing.
c10::Device open_device(const std::string& name, int gpu);

}  // namespace mgrn::model::tensor
