# SPDX-License-Identifier: Apache-2.0
# Every outside package is found once, here, and wrapped as an imported target.
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(nlohmann_json REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(Boost REQUIRED COMPONENTS program_options)
find_package(MPI REQUIRED COMPONENTS C)

set(HDF5_PREFER_PARALLEL ON)
find_package(HDF5 REQUIRED COMPONENTS C)
if(NOT HDF5_IS_PARALLEL)
  message(FATAL_ERROR "Parallel HDF5 is needed, a serial one was found (${HDF5_C_INCLUDE_DIRS}). "
                      "Debian: libhdf5-openmpi-dev; clusters: a module such as hdf5-mpi; or set HDF5_ROOT.")
endif()
include(MgrnLibTorch)

if(BUILD_TESTING)
  find_package(GTest REQUIRED)
  find_package(Python3 COMPONENTS Interpreter)
endif()
