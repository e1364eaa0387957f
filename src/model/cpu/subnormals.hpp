// SPDX-License-Identifier: Apache-2.0
// The floating-point mode in which kernels run.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace mgrn::model::cpu {

// Subnormal numbers (high powers of small distances) cost a hundred cycles each on some processors and carry
// nothing here; the caller's mode is restored.
class FlushSubnormals {
 public:
#if defined(__x86_64__)
  FlushSubnormals() : saved_(_mm_getcsr()) {
    _mm_setcsr(saved_ | 0x8040u);
  }
  ~FlushSubnormals() {
    _mm_setcsr(saved_);
  }
#else
  FlushSubnormals() = default;
#endif
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
#if defined(__x86_64__)
  unsigned saved_;
#endif
};

}  // namespace mgrn::model::cpu
