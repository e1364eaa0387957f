// SPDX-License-Identifier: Apache-2.0
#include "abandoned_file.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "multigrnformer/base/error.hpp"

namespace mgrn::store {

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
  // holds little more than metadata and a few chunks: the rest of it is a hole.
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
