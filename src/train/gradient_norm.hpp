// SPDX-License-Identifier: Apache-2.0
// The L2 norm of a whole gradient and clipping by it, as all optimisers use them. Internal to the room.
#pragma once

#include <span>

namespace mgrn::train {

/// Scales the gradient down to the norm `clip` (0: leaves it), by torch.nn.utils.clip_grad_norm_'s factor.
/// Returns the norm before that; one order of summation for all instruction sets. Throws NumericError,
/// gradient untouched, when the norm is not finite.
double clip_gradient(std::span<float> gradient, double clip);

}  // namespace mgrn::train
