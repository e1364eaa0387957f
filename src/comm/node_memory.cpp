// SPDX-License-Identifier: Apache-2.0
#include "node_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <exception>
#include <string>

#include "mpi_communicator.hpp"

namespace mgrn::comm {
namespace {

// What the other ranks need to find the first rank's file and to know it again: in another namespace of
// processes the same number is another process.
struct Address {
  std::int64_t process = -1;
  std::int64_t descriptor = -1;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
};

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) {
      ::close(value_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value() const { return value_; }

 private:
  int value_;
};

bool is_it(int descriptor, const Address& address) {
  struct stat found {};
  return ::fstat(descriptor, &found) == 0 && found.st_dev == address.device && found.st_ino == address.inode;
}

int make_file(std::uint64_t bytes, Address& address) {
  const int descriptor = ::memfd_create("multigrnformer", MFD_CLOEXEC);
  struct stat made {};
  if (descriptor >= 0 && ::ftruncate(descriptor, static_cast<off_t>(bytes)) == 0 &&
      ::fstat(descriptor, &made) == 0) {
    address = {::getpid(), descriptor, made.st_dev, made.st_ino};
  }
  return descriptor;
}

bool everyone(MPI_Comm node, bool mine) {
  int all = mine ? 1 : 0;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &all, 1, MPI_INT, MPI_MIN, node), "MPI_Allreduce");
  return all != 0;
}

}  // namespace

std::optional<SharedMemory> share_anonymous_file(MPI_Comm node, std::uint64_t bytes) {
  int rank = 0;
  check_mpi(MPI_Comm_rank(node, &rank), "MPI_Comm_rank");
  Address address;
  // The first rank's descriptor stays open until all have mapped the file, which `everyone` makes sure of.
  const Descriptor mine(rank == 0 ? make_file(bytes, address) : -1);
  check_mpi(MPI_Bcast(&address, sizeof address, MPI_BYTE, 0, node), "MPI_Bcast");
  const Descriptor theirs(
      rank != 0 && address.process >= 0
          ? ::open(("/proc/" + std::to_string(address.process) + "/fd/" + std::to_string(address.descriptor))
                       .c_str(),
                   O_RDWR | O_CLOEXEC)
          : -1);
  const int descriptor = rank == 0 ? mine.value() : theirs.value();
  void* place = MAP_FAILED;
  if (descriptor >= 0 && is_it(descriptor, address)) {
    place = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  }
  std::shared_ptr<void> owner;
  if (place != MAP_FAILED) {
    ::madvise(place, bytes, MADV_HUGEPAGE);
    owner = std::shared_ptr<void>(place, [bytes](void* mapped) { ::munmap(mapped, bytes); });
  }
  if (!everyone(node, owner != nullptr)) {
    return std::nullopt;
  }
  return SharedMemory(owner, {static_cast<std::byte*>(place), bytes});
}

SharedMemory share_window(MPI_Comm node, std::uint64_t bytes) {
  int rank = 0;
  check_mpi(MPI_Comm_rank(node, &rank), "MPI_Comm_rank");
  void* mine = nullptr;
  MPI_Win window = MPI_WIN_NULL;
  check_mpi(MPI_Win_allocate_shared(rank == 0 ? static_cast<MPI_Aint>(bytes) : 0, 1, MPI_INFO_NULL, node,
                                    &mine, &window),
            "MPI_Win_allocate_shared");
  const std::shared_ptr<void> owner(new MPI_Win(window), [](void* held) {
    auto* last = static_cast<MPI_Win*>(held);
    // As with communicators: freeing waits for all ranks, which an error may keep from coming.
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized == 0 && std::uncaught_exceptions() == 0) {
      MPI_Win_free(last);
    }
    delete last;
  });
  MPI_Aint size = 0;
  int unit = 0;
  void* first = nullptr;
  check_mpi(MPI_Win_shared_query(window, 0, &size, &unit, &first), "MPI_Win_shared_query");
  return {owner, {static_cast<std::byte*>(first), bytes}};
}

}  // namespace mgrn::comm
