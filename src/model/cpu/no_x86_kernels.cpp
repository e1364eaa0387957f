// SPDX-License-Identifier: Apache-2.0
// Stands in for kernels_avx2.cpp and kernels_avx512.cpp on processors other than x86-64.
#include "model/cpu/kernels.hpp"

namespace mgrn::model::cpu {

const Kernels* avx2_kernels() {
  return nullptr;
}
const Kernels* avx512_kernels() {
  return nullptr;
}

}  // namespace mgrn::model::cpu
