// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/model/engine.hpp"

#include "model/checks.hpp"
#include "model/cpu/fused_engine.hpp"
#include "model/cpu/pool_engine.hpp"
#include "model/cuda/cuda_engine.hpp"
#include "model/reference.hpp"
#include "model/tensor/tensor_engine.hpp"

namespace mgrn::model {

std::unique_ptr<Engine> make_engine(const Shape& shape, int micro_batch, const EngineOptions& options) {
  validate(shape);
  check_options(micro_batch, options);
  check_pooling_dropout(shape, options);
  if (shape.readout == Readout::pool) {
    return options.kind == "reference" ? make_reference_engine(shape, micro_batch, options)
                                       : cpu::make_pool_engine(shape, micro_batch, options);
  }
  const bool kernels = options.kind == "auto" || options.kind == "linear";
  if (options.device == "cuda" && kernels) {
    return cuda::make_cuda_engine(shape, micro_batch, options, cuda::open_module());
  }
  if (options.kind == "tensor") return tensor::make_tensor_engine(shape, micro_batch, options);
  if (options.kind == "reference") return make_reference_engine(shape, micro_batch, options);
  return cpu::make_fused_engine(shape, micro_batch, options);
}

}  // namespace mgrn::model
