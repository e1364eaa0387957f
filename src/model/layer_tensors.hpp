// SPDX-License-Identifier: Apache-2.0
// The tensors of one encoder layer, and those of the predictor, in the order of Parameters::views(). Internal
// to the room.
#pragma once

#include <cstddef>

namespace mgrn::model {

enum LayerTensor : std::size_t {
  kInWeight,
  kInBias,
  kOutWeight,
  kOutBias,
  kInnerWeight,
  kInnerBias,
  kOuterWeight,
  kOuterBias,
  kNorm1Weight,
  kNorm1Bias,
  kNorm2Weight,
  kNorm2Bias,
  kLayerTensors
};
enum PredictorTensor : std::size_t { kHiddenWeight, kHiddenBias, kLogitWeight, kLogitBias };

}  // namespace mgrn::model
