// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/optimizer.hpp"

#include "multigrnformer/train/adam.hpp"
#include "multigrnformer/train/settings.hpp"
#include "multigrnformer/train/sgd.hpp"

namespace mgrn::train {

std::unique_ptr<Optimizer> make_optimizer(const model::Parameters& parameters, const Settings& settings) {
  if (settings.optimizer == OptimizerKind::sgd) {
    return std::make_unique<Sgd>(parameters, settings.sgd);
  }
  return std::make_unique<Adam>(parameters, settings.adam);
}

}  // namespace mgrn::train
