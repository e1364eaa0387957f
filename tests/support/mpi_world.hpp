// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::test {

/// The ranks of a test binary registered with RANKS (mgrn::mpi_test_main): MPI's world under mpiexec, also
/// when the binary is started alone. Each test is run by every rank; collectives in it must match, so use
/// EXPECT_, not ASSERT_, before the last collective of a test.
comm::Communicator& world();

}  // namespace mgrn::test
