// SPDX-License-Identifier: Apache-2.0
// The instruction sets that this build and this processor both have.
#pragma once

#include <string>
#include <vector>

#include "model/cpu/fused_engine.hpp"
#include "model/cpu/kernels.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::model::test {

inline std::vector<const cpu::Kernels*> available_kernels() {
  std::vector<const cpu::Kernels*> result;
  for (const cpu::Kernels* kernels : {&cpu::baseline_kernels(), cpu::avx2_kernels(), cpu::avx512_kernels()}) {
    if (kernels == nullptr) continue;
    try {
      cpu::make_fused_engine(Shape{.cells = 1, .hidden = 1}, 1, {.isa = kernels->name});
      result.push_back(kernels);
    } catch (const base::UsageError&) {
    }
  }
  return result;
}

}  // namespace mgrn::model::test
