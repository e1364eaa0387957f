// SPDX-License-Identifier: Apache-2.0
// CNNC (Yuan and Bar-Joseph, doi 10.1073/pnas.1911536116): a convolutional network on the image of a pair
// (nepdf_images.hpp), trained by MultiGRNFormer's own loop.
//
// Six 3 x 3 convolutions in three blocks of 32, 64 and 128 channels, the first of a block with a border of
// zeros and the second without, ReLU after each, then maximum over 2 x 2 and dropout; dense 512, ReLU,
// dropout 0.5, one logit: 549,601 weights. They carry the names of the same network as PyTorch's
// nn.Sequential: features.{0,2,6,8,12,14} and classifier.{0,3}.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "multigrnformer/baselines/neural_options.hpp"
#include "multigrnformer/train/method.hpp"

namespace mgrn::baselines {

std::shared_ptr<const train::Method> make_cnnc(const NeuralOptions& options);

/// The authors' recipe for TF-target pairs, in all that the user has not set (`given`, names of keys):
/// SGD with Nesterov's momentum 0.9, rate 0.02 / (1 + 1e-6 step), batch 1024, 200 epochs, dropout 0.5,
/// weights of the last epoch.
void set_cnnc_recipe(train::Settings& settings, const std::set<std::string>& given);

}  // namespace mgrn::baselines
