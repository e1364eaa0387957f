// SPDX-License-Identifier: Apache-2.0
// The module library's one exported function.
#include "model/cuda/cuda_device.cuh"

namespace mgrn::model::cuda {

template <>
Step* make_step<CudaDevice>(const StepShape& shape, const Polynomial* polynomials, const float* positions,
                            int device) {
  switch (shape.width) {
    case 4:
      return make_cuda_step<4>(shape, polynomials, positions, device);
    case 6:
      return make_cuda_step<6>(shape, polynomials, positions, device);
    case 8:
      return make_cuda_step<8>(shape, polynomials, positions, device);
    default:
      throw std::runtime_error("there are kernels for a width of 4, 6 and 8 only");
  }
}

}  // namespace mgrn::model::cuda

extern "C" __attribute__((visibility("default"))) const mgrn::model::cuda::Api* multigrnformer_cuda_api(
    std::uint32_t version) {
  return mgrn::model::cuda::api_of<mgrn::model::cuda::CudaDevice>(version);
}
