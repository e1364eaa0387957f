// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/sample_source.hpp"

#include <string>
#include <typeinfo>

#include "multigrnformer/base/error.hpp"

namespace mgrn::pairs {

std::size_t SampleSource::gather_all(std::span<const SampleRequest> requests, std::span<float> out) const {
  const std::size_t size = sample_size();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!requests[i].sampler->gather(requests[i].name, out.subspan(i * size, size))) {
      return i;
    }
  }
  return requests.size();
}

std::size_t gather_samples(std::span<const SampleRequest> requests, std::span<float> out) {
  if (requests.empty()) {
    return 0;
  }
  const SampleSource& first = *requests.front().sampler;
  for (const SampleRequest& request : requests) {
    const SampleSource& other = *request.sampler;
    if (typeid(other) != typeid(first) || other.sample_size() != first.sample_size() ||
        out.size() != first.sample_size() * requests.size()) {
      throw base::InternalError(
          {.what = "the room for samples has the wrong size",
           .expected = std::to_string(requests.size()) + " x " + std::to_string(other.sample_size()),
           .got = std::to_string(out.size()),
           .hint = "Report this as a defect."});
    }
  }
  return first.gather_all(requests, out);
}

}  // namespace mgrn::pairs
