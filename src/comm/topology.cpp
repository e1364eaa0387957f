// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/comm/topology.hpp"

#include <hdf5.h>
#include <mpi.h>
#include <unistd.h>

#include <array>

namespace mgrn::comm {

Topology find_topology(Communicator& communicator) {
  Topology topology;
  topology.host = host_name();
  const auto node = communicator.split_by_node();
  topology.node_rank = node->rank();
  topology.node_ranks = node->size();
  std::array<std::int64_t, 1> nodes{node->rank() == 0 ? 1 : 0};
  communicator.all_reduce(std::span<std::int64_t>(nodes), Reduction::sum);
  topology.nodes = static_cast<int>(nodes[0]);
  return topology;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') {
    return "unknown";
  }
  return name.data();
}

std::vector<LibraryVersion> library_versions() {
  std::vector<LibraryVersion> versions;
  // MPI allows these two calls before MPI_Init.
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  int major = 0;
  int minor = 0;
  std::string mpi = "unknown";
  if (MPI_Get_library_version(text.data(), &length) == MPI_SUCCESS) {
    mpi.assign(text.data(), static_cast<std::size_t>(length));
    // "Open MPI v4.1.4, package: ...": the rest says who built it where.
    mpi = mpi.substr(0, mpi.find_first_of(",\n"));
    // "MPICH Version:\t4.0.2": as people write it.
    if (const std::string words = " Version:\t"; mpi.find(words) != std::string::npos) {
      mpi.replace(mpi.find(words), words.size(), " ");
    }
  }
  if (MPI_Get_version(&major, &minor) == MPI_SUCCESS) {
    mpi += " (MPI " + std::to_string(major) + "." + std::to_string(minor) + ")";
  }
  versions.push_back({"MPI", mpi});
  unsigned hdf5_major = 0;
  unsigned hdf5_minor = 0;
  unsigned hdf5_release = 0;
  H5get_libversion(&hdf5_major, &hdf5_minor, &hdf5_release);
  versions.push_back({"HDF5", std::to_string(hdf5_major) + "." + std::to_string(hdf5_minor) + "." +
                                  std::to_string(hdf5_release) + " (parallel)"});
  return versions;
}

}  // namespace mgrn::comm
