// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/comm/communicator.hpp"

#include <array>

namespace mgrn::comm {

std::string broadcast_text(Communicator& communicator, std::string text, int root) {
  std::array<std::uint64_t, 1> length{text.size()};
  communicator.broadcast(std::as_writable_bytes(std::span(length)), root);
  text.resize(length[0]);
  communicator.broadcast(std::as_writable_bytes(std::span(text.data(), text.size())), root);
  return text;
}

}  // namespace mgrn::comm
