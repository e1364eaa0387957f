// SPDX-License-Identifier: Apache-2.0
// A collective that does not end names the ranks that are missing instead of hanging until the job's time is
// up. Every communicator of an MPI session is watched: each collective has a number, a name and a size, and
// the last 64 of each rank are kept.
//
// Past a quarter of the limit a line on stderr says which ranks are missing. Past the limit the ranks that
// wait tell one another where they are; those that do not answer within the grace, or are elsewhere, are
// named with their hosts, the last collectives of each rank that answered are written, and the job ends with
// exit code 76. A collective that ends within the grace after all goes on as if nothing had been: a job that
// was suspended as a whole does not die of it.
#pragma once

#include <filesystem>
#include <memory>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm {

struct WatchSettings {
  double limit_s = 1800;  ///< what a collective may take; infinity: for ever
  /// Before each collective, compare (number, name, count, type) over the ranks; the first difference is a
  /// CommunicationError on all of them. Costs one small collective each.
  bool compare = false;
  /// Where collectives.txt is written; stderr takes its content while this is no folder.
  std::filesystem::path folder = {};
};

/// Not collective, but all ranks must set the same, between the same two collectives. Holds for all
/// communicators of the session; without effect on one that nobody watches (backend self).
void watch(Communicator& communicator, const WatchSettings& settings);

/// `communicator`, with every collective numbered, kept and, with settings.compare, compared. Without a
/// limit: only an MPI session can ask where the other ranks are.
std::unique_ptr<Communicator> make_watched(std::unique_ptr<Communicator> communicator,
                                           const WatchSettings& settings);

}  // namespace mgrn::comm
