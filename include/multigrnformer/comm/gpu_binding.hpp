// SPDX-License-Identifier: Apache-2.0
// Which GPU a rank computes on. A GPU is known by its UUID, since its number differs from rank to rank where
// Slurm or CUDA_VISIBLE_DEVICES show each task another one.
#pragma once

#include <string>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm {

struct GpuBinding {
  int device = 0;    ///< number among the GPUs that this rank sees
  std::string uuid;  ///< "GPU-8f3c...", the same on every rank that sees it
};

enum class GpuSharing {
  refused,  ///< one rank per GPU
  allowed,  ///< ranks beyond the number of GPUs share them in turn: for tests, it gains no speed
};

/// Collective. `visible` are the UUIDs of the GPUs that this rank sees, by number. In the order of their rank
/// on the node, ranks take the first GPU they see that is still free: where all see all, rank r of a node
/// gets number r; where each sees one of its own, that one. Throws UsageError, on every rank, where a rank
/// sees none or finds none free, and where ranks of different nodes (containers of one host) chose the same.
GpuBinding bind_gpu(Communicator& communicator, const std::vector<std::string>& visible, GpuSharing sharing);

}  // namespace mgrn::comm
