// SPDX-License-Identifier: Apache-2.0
#include "disk.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::store {

void reserve(const std::filesystem::path& path, const formats::hdf5::File& file, std::uint64_t bytes) {
  const formats::hdf5::Identifier id(H5Iget_file_id(file.id()), H5Fclose);
  hsize_t used = 0;  // also what is given out but not yet written
  if (!id || H5Fget_filesize(id.get(), &used) < 0) {
    file.fail("cannot tell the size of the file", "", "H5Fget_filesize failed");
  }
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  int reason = descriptor < 0 ? errno : 0;
  if (reason == 0) {
    // From the start: parts that HDF5 gave out may still be holes. The size stays, HDF5 keeps its own.
    if (::fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(used + bytes)) != 0) {
      reason = errno;
    }
    ::close(descriptor);
  }
  if (reason == EOPNOTSUPP || reason == ENOSYS || reason == EINTR) {
    const auto folder = path.parent_path();
    base::require_free_space(folder.empty() ? "." : folder, bytes, "the dataset");
    return;
  }
  if (reason != 0) {
    throw base::OutputError({.what = "cannot write dataset file",
                             .file = path.string(),
                             .expected = "room for " + std::to_string((bytes >> 20U) + 1) + " MiB more",
                             .got = std::strerror(reason),
                             .hint = "free some space or choose another folder"});
  }
}

void release(const std::filesystem::path& path) noexcept {
  std::error_code ignored;
  const auto size = std::filesystem::file_size(path, ignored);
  if (!ignored) {
    static_cast<void>(::truncate(path.c_str(), static_cast<off_t>(size)));
  }
}

void flush(const formats::hdf5::File& file) {
  if (H5Fflush(file.id(), H5F_SCOPE_GLOBAL) < 0) {
    throw base::OutputError(
        {.what = "cannot write dataset file",
         .file = file.file(),
         .got = "H5Fflush failed",
         .hint = "see whether the disk is full; free some space or choose another folder"});
  }
}

void redirect_into_nowhere(const formats::hdf5::File& file) noexcept {
  // The standard driver writes through a file descriptor; another file is put under that number. Memory
  // holds little more than metadata: the rest of it is a hole.
  const formats::hdf5::Identifier id(H5Iget_file_id(file.id()), H5Fclose);
  void* handle = nullptr;
  if (id && H5Fget_vfd_handle(id.get(), H5P_DEFAULT, &handle) >= 0 && handle != nullptr) {
    const int nowhere = ::memfd_create("abandoned dataset", MFD_CLOEXEC);
    if (nowhere >= 0) {
      ::dup2(nowhere, *static_cast<int*>(handle));
      ::close(nowhere);
    }
  }
}

}  // namespace mgrn::store
