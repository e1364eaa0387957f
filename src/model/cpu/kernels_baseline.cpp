// SPDX-License-Identifier: Apache-2.0
#include "model/cpu/kernel_table.hpp"

namespace mgrn::model::cpu {

const Kernels& baseline_kernels() {
  static constexpr Kernels kTable = kernel_table("baseline");
  return kTable;
}

}  // namespace mgrn::model::cpu
