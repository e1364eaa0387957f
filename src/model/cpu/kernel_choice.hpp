// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "model/cpu/kernels.hpp"

namespace mgrn::model::cpu {

/// The kernels of an instruction set: auto, avx2, baseline or avx512 (train.isa). Throws UsageError for one
/// that is unknown or that this build or processor lacks.
const Kernels& choose_kernels(const std::string& isa);

}  // namespace mgrn::model::cpu
