// SPDX-License-Identifier: Apache-2.0
#include "model/cpu/kernel_choice.hpp"

#include "multigrnformer/base/error.hpp"

namespace mgrn::model::cpu {
namespace {

[[noreturn]] void refuse_isa(const std::string& isa, const char* got) {
  throw base::UsageError({.what = "the instruction set cannot be used",
                          .file = "train.isa",
                          .expected = "auto, avx2, baseline or avx512, as far as build and processor have it",
                          .got = isa + got,
                          .hint = "Set train.isa to auto, or to baseline, which runs everywhere."});
}

}  // namespace

const Kernels& choose_kernels(const std::string& isa) {
#if defined(__x86_64__)
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl");
#else
  const bool has_avx2 = false;
  const bool has_avx512 = false;
#endif
  if (isa == "baseline") return baseline_kernels();
  if (isa == "auto") {
    if (has_avx512 && avx512_kernels() != nullptr) return *avx512_kernels();
    return has_avx2 && avx2_kernels() != nullptr ? *avx2_kernels() : baseline_kernels();
  }
  if (isa == "avx2") {
    if (!has_avx2 || avx2_kernels() == nullptr) refuse_isa(isa, ", which this processor or build lacks");
    return *avx2_kernels();
  }
  if (isa == "avx512") {
    if (!has_avx512 || avx512_kernels() == nullptr) refuse_isa(isa, ", which this processor or build lacks");
    return *avx512_kernels();
  }
  refuse_isa(isa, "");
}

}  // namespace mgrn::model::cpu
