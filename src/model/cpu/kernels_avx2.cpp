// SPDX-License-Identifier: Apache-2.0
#include "model/cpu/kernel_table.hpp"

namespace mgrn::model::cpu {

const Kernels* avx2_kernels() {
  static constexpr Kernels kTable = kernel_table("avx2");
  return &kTable;
}

}  // namespace mgrn::model::cpu
