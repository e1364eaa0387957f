// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/unit_samples.hpp"

#include <algorithm>

#include "multigrnformer/base/error.hpp"

namespace mgrn::train {

void UnitSamples::bring(const HeldSources& held, std::span<const pairs::SampleRequest> requests,
                        std::size_t rows) {
  if (held.name(requests, held_)) {
    return;
  }
  const std::size_t size = requests.front().sampler->sample_size();
  inputs_.resize(rows * size);
  const auto wanted = std::span(inputs_).first(requests.size() * size);
  std::fill(inputs_.begin() + static_cast<std::ptrdiff_t>(wanted.size()), inputs_.end(), 0.0f);
  if (pairs::gather_samples(requests, wanted) != requests.size()) {
    throw base::InternalError(
        {.what = "a sample was asked for of a pair that has none", .hint = "report this as a defect"});
  }
}

}  // namespace mgrn::train
