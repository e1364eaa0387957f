// SPDX-License-Identifier: Apache-2.0
// Memory shared by the ranks of an MPI communicator whose ranks are on one node. Private to the room.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <optional>

#include "multigrnformer/comm/shared_memory.hpp"

namespace mgrn::comm {

/// Collective. An anonymous file (memfd) of the first rank's that the others open through /proc. Nothing
/// where a rank cannot see it, on every rank alike.
std::optional<SharedMemory> share_anonymous_file(MPI_Comm node, std::uint64_t bytes);

/// Collective. MPI's own shared-memory window. Releasing it is collective too. Throws CommunicationError.
SharedMemory share_window(MPI_Comm node, std::uint64_t bytes);

}  // namespace mgrn::comm
