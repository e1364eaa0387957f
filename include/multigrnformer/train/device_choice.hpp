// SPDX-License-Identifier: Apache-2.0
// What train.device = auto comes to: a GPU for each rank where all can have one, else the processor.
#pragma once

#include <string>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::train {

enum class Work {
  training,    ///< ranks sum gradients between their GPUs, which takes NCCL
  prediction,  ///< each rank has its own
};

/// Collective. settings.device where it names one. For auto "cuda" where every rank sees a GPU that the CUDA
/// kernels can use, has one for itself (comm::bind_gpu) and can do the work there; else "cpu", with a warning
/// that says why if any rank sees a GPU. Work goes on where it began: `begun_by` is the engine (Engine::name)
/// that made what is gone on from, empty for new work; rank 0's counts.
std::string choose_device(const Settings& settings, Work work, const std::string& begun_by,
                          comm::Communicator& communicator);

}  // namespace mgrn::train
