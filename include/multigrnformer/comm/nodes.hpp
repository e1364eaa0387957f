// SPDX-License-Identifier: Apache-2.0
// The ranks by node: those of one node share memory, and one of them speaks for all to the other nodes.
#pragma once

#include <memory>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm {

struct Nodes {
  std::unique_ptr<Communicator> node;     ///< the ranks of this one's node
  std::unique_ptr<Communicator> leaders;  ///< the first rank of each node; of others a group of their own
  int most_ranks = 1;                     ///< on any one node, the same on every rank
  bool several = false;                   ///< there is more than one node
};

/// Collective.
Nodes find_nodes(Communicator& whole);

}  // namespace mgrn::comm
