// SPDX-License-Identifier: Apache-2.0
#include "model/cuda/cuda_device.cuh"

namespace mgrn::model::cuda {

template <>
Step* make_cuda_step<8>(const StepShape& shape, const Polynomial* polynomials, const float* positions,
                        int device) {
  return new StepOf<8, CudaDevice>(shape, polynomials, positions, device);
}

}  // namespace mgrn::model::cuda
