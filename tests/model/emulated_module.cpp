// SPDX-License-Identifier: Apache-2.0
// A module library of CUDA kernels whose device is emulated: what the program opens in place of the real one.
#include "model/emulated_device.hpp"

extern "C" __attribute__((visibility("default"))) const mgrn::model::cuda::Api* multigrnformer_cuda_api(
    std::uint32_t version) {
  return mgrn::model::cuda::api_of<mgrn::model::test::EmulatedDevice<>>(version);
}
