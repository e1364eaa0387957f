// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mpi.h>

#include "side_channel.hpp"

namespace mgrn::comm {

/// Over `handle`, a communicator that carries nothing else; the caller keeps it, and frees it after the
/// channel.
std::unique_ptr<SideChannel> make_mpi_side_channel(MPI_Comm handle);

}  // namespace mgrn::comm
