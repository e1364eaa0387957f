// SPDX-License-Identifier: Apache-2.0
// The one place where HDF5 meets MPI.
#pragma once

#include <hdf5.h>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm {

class WatchedCommunicator;

/// Whether ranks of this communicator can open one HDF5 file together (MPI backend). Self and Thread
/// cannot: there rank 0 writes for all (`store::DatasetWriter` hides the difference).
bool has_parallel_hdf5(const Communicator& communicator);

/// A file access property list with the MPI-IO driver on this communicator; the caller closes it. Throws
/// InternalError where has_parallel_hdf5() is false.
hid_t parallel_file_access(const Communicator& communicator);

/// A transfer property list for collective reads and writes of files opened with parallel_file_access();
/// the caller closes it. (Compressed datasets can only be written collectively.)
hid_t collective_transfer();

/// While it lives, this rank counts as being in a collective file access, which the limit of collectives
/// holds for. All ranks make one, in the same order, and enter no other collective meanwhile.
class CollectiveAccess {
 public:
  explicit CollectiveAccess(Communicator& communicator);
  ~CollectiveAccess();
  CollectiveAccess(const CollectiveAccess&) = delete;
  CollectiveAccess& operator=(const CollectiveAccess&) = delete;

 private:
  WatchedCommunicator* watched_;  // null where nobody watches
};

}  // namespace mgrn::comm
