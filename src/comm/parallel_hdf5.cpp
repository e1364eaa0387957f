// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/comm/parallel_hdf5.hpp"

#include "mpi_communicator.hpp"
#include "watched_communicator.hpp"

namespace mgrn::comm {

bool has_parallel_hdf5(const Communicator& communicator) {
  return as_mpi(communicator) != nullptr;
}

hid_t parallel_file_access(const Communicator& communicator) {
  const auto* over_mpi = as_mpi(communicator);
  if (over_mpi == nullptr) {
    throw base::InternalError({.what = "parallel HDF5 needs the MPI backend", .got = communicator.backend()});
  }
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  if (access < 0 || H5Pset_fapl_mpio(access, over_mpi->handle(), MPI_INFO_NULL) < 0) {
    if (access >= 0) {
      H5Pclose(access);
    }
    throw base::InternalError({.what = "HDF5's MPI-IO driver is not available",
                               .hint = "build with a parallel HDF5 made for the MPI in use"});
  }
  return access;
}

CollectiveAccess::CollectiveAccess(Communicator& communicator)
    : watched_(dynamic_cast<WatchedCommunicator*>(&communicator)) {
  if (watched_ != nullptr) {
    watched_->begin({Operation::file_access});
  }
}

CollectiveAccess::~CollectiveAccess() {
  if (watched_ != nullptr) {
    watched_->end();
  }
}

hid_t collective_transfer() {
  const hid_t transfer = H5Pcreate(H5P_DATASET_XFER);
  if (transfer < 0 || H5Pset_dxpl_mpio(transfer, H5FD_MPIO_COLLECTIVE) < 0) {
    if (transfer >= 0) {
      H5Pclose(transfer);
    }
    throw base::InternalError({.what = "HDF5 cannot transfer collectively",
                               .hint = "build with a parallel HDF5 made for the MPI in use"});
  }
  return transfer;
}

}  // namespace mgrn::comm
