// SPDX-License-Identifier: Apache-2.0
// STGRNS (Xu and others, doi 10.1093/bioinformatics/btad165): a Transformer over windows of cells
// (expression_windows.hpp), trained by MultiGRNFormer's own loop.
//
// Sinusoidal positions of the windows, dropout, one post-norm encoder layer (2 heads, feed-forward 256, ReLU)
// of width 2 g, the mean over windows, dense 2 g, ReLU, two classes, whose difference is the logit: 305,058
// weights for g = 100. They carry the names of nn.TransformerEncoderLayer and nn.Sequential: encoder.* and
// classifier.{0,2}.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "multigrnformer/baselines/neural_options.hpp"
#include "multigrnformer/train/method.hpp"

namespace mgrn::baselines {

std::shared_ptr<const train::Method> make_stgrns(const NeuralOptions& options);

/// The authors' recipe for GRN reconstruction, in all that the user has not set (`given`, names of keys):
/// Adam 3e-4, weight decay 1e-5, gradients clipped at 10, batch 32 in one order for all epochs, 200 epochs,
/// dropout 0.1, weights of the last epoch.
void set_stgrns_recipe(train::Settings& settings, const std::set<std::string>& given);

}  // namespace mgrn::baselines
