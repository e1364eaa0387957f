// SPDX-License-Identifier: Apache-2.0
// Ranks as threads of one process: multi-rank logic is tested (and debugged) without a launcher. Each
// collective checks that every rank called the same one; a rank that throws, or returns while others wait
// for it, wakes them with CommunicationError instead of leaving them hanging.
#pragma once

#include <functional>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm {

/// Runs `program` once per rank, each on its own thread with its own communicator (backend "thread"), and
/// returns when all have ended. Where ranks threw, rethrows the error of the lowest rank that failed by
/// itself (not merely because another one had), marked with its rank. Float and double sums are taken in
/// rank order, so they repeat bit for bit.
void run_ranks(int ranks, const std::function<void(Communicator&)>& program);

}  // namespace mgrn::comm
