// SPDX-License-Identifier: Apache-2.0
// The polynomials that linear-time attention uses in place of exp, one per range of the scores.
#pragma once

#include <span>

#include "model/cpu/kernels.hpp"

namespace mgrn::model::cpu {

/// By ascending range, 1/16 to 7. Built on first use, thread-safe; lives as long as the program.
std::span<const ExponentialPolynomial> exponential_polynomials();

}  // namespace mgrn::model::cpu
