// SPDX-License-Identifier: Apache-2.0
// A full disk and HDF5: what it still holds it writes when a file is flushed or closed, and once that has
// failed (tried with 1.10.8) the file can never be closed, and closing is tried again at exit. So space is
// reserved before HDF5 flushes, and a file that is given up is turned away from its disk before it is closed.
#pragma once

#include <cstdint>
#include <filesystem>

#include "multigrnformer/formats/hdf5.hpp"

namespace mgrn::store {

/// Makes sure that the file, which HDF5 is writing, can grow by `bytes` and by what HDF5 needs to keep
/// account of its content. Throws OutputError (74). File systems that cannot reserve are asked for their free
/// space instead.
void reserve(const std::filesystem::path& path, std::uint64_t bytes);

/// Gives back what reserve() took and the finished file did not need.
void release(const std::filesystem::path& path) noexcept;

/// Writes all that HDF5 holds to the file system. Collective in a parallel file. Throws OutputError.
void flush(const formats::hdf5::File& file);

/// A file, whatever its name and also without one.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t number = 0;
};
FileIdentity identify(const std::filesystem::path& path);

/// From here on what this process writes to the file through descriptors that are open now goes into memory:
/// closing it, and datasets in it, succeeds although its disk is full. For a file that is to be thrown away.
void redirect_into_nowhere(const FileIdentity& file) noexcept;

}  // namespace mgrn::store
