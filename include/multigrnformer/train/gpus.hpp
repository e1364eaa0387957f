// SPDX-License-Identifier: Apache-2.0
// What train.device = cuda means for several ranks: a GPU for each, and sums between the GPUs' memories.
#pragma once

#include <memory>
#include <string>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/comm/nccl.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::train {

/// Collective. The GPU that this rank computes on (comm::bind_gpu); number 0 with an empty UUID for a single
/// rank, whose GPU is the first that it sees, and where the processor computes. Throws UsageError, on every
/// rank, where there are too few GPUs or the build cannot use several.
comm::GpuBinding choose_gpu(const Settings& settings, comm::Communicator& communicator);

/// Collective. What reduces between the GPUs of all ranks; null for a single rank, and where the processor
/// computes. `communicator` must outlive it. Errors as comm::make_nccl_communicator.
std::unique_ptr<comm::DeviceCommunicator> connect_gpus(const Settings& settings, const comm::GpuBinding& gpu,
                                                       comm::Communicator& communicator);

}  // namespace mgrn::train
