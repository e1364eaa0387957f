// SPDX-License-Identifier: Apache-2.0
#include "disk.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::store {
namespace {

// Metadata that HDF5 may hold back until it flushes; more for large files, see reserve().
constexpr std::uint64_t kAccounts = std::uint64_t{1} << 20;

}  // namespace

void reserve(const std::filesystem::path& path, std::uint64_t bytes) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  int reason = descriptor < 0 ? errno : 0;
  if (reason == 0) {
    struct stat status {};
    reason = ::fstat(descriptor, &status) != 0 ? errno : 0;
    const auto used = static_cast<std::uint64_t>(status.st_size);
    bytes += kAccounts + used / 4096;
    // From the start, for there may be holes. The size stays as it is: HDF5 keeps its own.
    if (reason == 0 &&
        ::fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(used + bytes)) != 0) {
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

FileIdentity identify(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    throw base::OutputError({.what = "cannot find the dataset file that was just created",
                             .file = path.string(),
                             .got = std::strerror(errno),
                             .hint = "choose a folder that all nodes share"});
  }
  return {status.st_dev, status.st_ino};
}

void redirect_into_nowhere(const FileIdentity& file) noexcept {
  // MPI-IO does not hand out its descriptors, so all of this process are looked through. Another file is put
  // under their numbers; it holds little more than metadata, the rest of it is a hole.
  std::error_code ignored;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", ignored);
       !ignored && entry != std::filesystem::directory_iterator(); entry.increment(ignored)) {
    const int descriptor = std::atoi(entry->path().filename().c_str());
    struct stat status {};
    if (::fstat(descriptor, &status) != 0 || status.st_dev != file.device || status.st_ino != file.number) {
      continue;
    }
    const int nowhere = ::memfd_create("abandoned dataset", MFD_CLOEXEC);
    if (nowhere >= 0) {
      ::dup2(nowhere, descriptor);
      ::close(nowhere);
    }
  }
}

}  // namespace mgrn::store
