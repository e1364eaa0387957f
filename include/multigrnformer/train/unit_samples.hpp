// SPDX-License-Identifier: Apache-2.0
// The samples of one micro-batch, in the form that a team's engines take.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "multigrnformer/model/held_samples.hpp"
#include "multigrnformer/pairs/sample_source.hpp"
#include "multigrnformer/train/held_sources.hpp"

namespace mgrn::train {

/// Memory that is kept from one micro-batch to the next; of one thread.
class UnitSamples {
 public:
  /// Samples of `requests`, 1 to `rows`: named where all of them are held, else gathered. Rows behind them
  /// are zero, not what the last unit left, which depends on who computed it. Throws InternalError for a pair
  /// without a sample.
  void bring(const HeldSources& held, std::span<const pairs::SampleRequest> requests, std::size_t rows);

  /// [rows, sample]; empty where held.
  std::span<const float> inputs() const {
    return held_.samples.empty() ? std::span<const float>(inputs_) : std::span<const float>();
  }
  /// [requests]; empty where gathered.
  std::span<const model::HeldSample> held() const { return held_.samples; }

 private:
  std::vector<float> inputs_;
  NamedSamples held_;
};

}  // namespace mgrn::train
