// SPDX-License-Identifier: Apache-2.0
// Who a process is, for those who find what it left behind: its number means something only under one running
// kernel and there in one view of processes, and is given again once it has ended.
#pragma once

#include <cstdint>
#include <string>

namespace mgrn::base {

struct Process {
  std::string machine;  ///< boot and PID namespace; empty: unknown, as where there is no /proc
  std::int64_t number = -1;
  std::string start;  ///< ticks from boot to its start, which tells it from a later one of its number
};

Process this_process();

/// Whether it is certain that the process has ended, if only to be collected by its parent. Never certain of
/// one on another machine, or in another container.
bool has_ended(const Process& process);

}  // namespace mgrn::base
