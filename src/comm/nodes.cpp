// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/comm/nodes.hpp"

#include <array>

namespace mgrn::comm {

Nodes find_nodes(Communicator& whole) {
  Nodes nodes;
  nodes.node = whole.split_by_node();
  nodes.leaders = whole.split(nodes.node->rank() == 0 ? 0 : 1);
  std::array<std::int64_t, 2> extent{nodes.node->size(), -nodes.node->size()};
  whole.all_reduce(extent, Reduction::maximum);
  nodes.most_ranks = static_cast<int>(extent[0]);
  // As many on every node's communicator as there are in all: then there is one node.
  nodes.several = -extent[1] < whole.size();
  return nodes;
}

}  // namespace mgrn::comm
