// SPDX-License-Identifier: Apache-2.0
// Where the ranks are, and on which libraries they stand.
#pragma once

#include <string>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm {

struct Topology {
  std::string host;    ///< this rank's host name
  int node_rank = 0;   ///< this rank among those of its host
  int node_ranks = 1;  ///< ranks on its host
  int nodes = 1;       ///< hosts in the communicator
};

/// Collective.
Topology find_topology(Communicator& communicator);

/// This host's name; "unknown" where the system does not tell.
std::string host_name();

struct LibraryVersion {
  std::string name;     ///< "MPI", "HDF5"
  std::string version;  ///< one line
};

/// Versions of the libraries that this room wraps, for `--version` and `doctor`: those loaded now, not
/// those compiled against. Needs no MPI session.
std::vector<LibraryVersion> library_versions();

}  // namespace mgrn::comm
