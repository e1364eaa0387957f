// SPDX-License-Identifier: Apache-2.0
// Short letters between single ranks, beside the collectives: how ranks ask one another where they are while
// a collective does not end. Never waits.
#pragma once

#include <memory>
#include <optional>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm {

struct Letter {
  int from = -1;
  Bytes text;
};

class SideChannel {
 public:
  SideChannel() = default;
  SideChannel(const SideChannel&) = delete;
  SideChannel& operator=(const SideChannel&) = delete;
  virtual ~SideChannel() = default;

  /// Starts to send; whether it arrives depends on the other rank.
  virtual void send(int rank, Bytes text) = 0;
  /// A letter that has arrived, or nothing.
  virtual std::optional<Letter> receive() = 0;
};

}  // namespace mgrn::comm
