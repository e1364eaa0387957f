// SPDX-License-Identifier: Apache-2.0
// HDF5 writes what it still holds when objects are closed, and tries again at exit: after a disk has filled
// up each attempt fails, and the handles can never be closed.
#pragma once

#include "multigrnformer/formats/hdf5.hpp"

namespace mgrn::store {

/// Writes all that HDF5 holds to the file system, so that an error shows while the file can still be thrown
/// away. Collective in a parallel file. Throws OutputError.
void flush(const formats::hdf5::File& file);

/// From here on what HDF5 writes to this file goes into memory: closing it, and datasets in it, succeeds
/// although its disk is full. For a file that is to be thrown away, without the MPI-IO driver.
void redirect_into_nowhere(const formats::hdf5::File& file) noexcept;

}  // namespace mgrn::store
