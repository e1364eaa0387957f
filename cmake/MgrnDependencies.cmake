# SPDX-License-Identifier: Apache-2.0
# Every outside package is found once, here, and reaches the rooms as an imported target. The file is
# installed too: the package configuration of an installed multigrnformer includes it, so that a project
# that links to us finds what we were linked to by the same rules.
#
# Nothing fails half way: what is missing is collected in MGRN_MISSING, one line per package with its Debian
# name and the module that a cluster usually calls it, and the includer reports the whole list at once.
set(MGRN_MISSING "")

# mgrn_note_missing(WHAT DEBIAN CLUSTER): WHAT was needed, DEBIAN is its package there, CLUSTER the advice.
macro(mgrn_note_missing what debian cluster)
  string(APPEND MGRN_MISSING "\n  - ${what}\n      Debian, Ubuntu: ${debian}; cluster: ${cluster}")
endmacro()

find_package(Threads QUIET)
if(NOT Threads_FOUND)
  mgrn_note_missing("POSIX threads" "libc6-dev" "a compiler module such as gcc")
endif()

find_package(ZLIB QUIET)
if(NOT ZLIB_FOUND)
  mgrn_note_missing("zlib" "zlib1g-dev" "module zlib, or ZLIB_ROOT")
endif()

find_package(OpenSSL QUIET COMPONENTS Crypto)
if(NOT TARGET OpenSSL::Crypto)
  mgrn_note_missing("OpenSSL (libcrypto, for checksums)" "libssl-dev" "module openssl, or OPENSSL_ROOT_DIR")
endif()

find_package(nlohmann_json 3.9 QUIET)
if(NOT nlohmann_json_FOUND)
  mgrn_note_missing("nlohmann-json 3.9 or newer" "nlohmann-json3-dev" "module nlohmann-json, or nlohmann_json_DIR")
endif()

find_package(fmt 8 QUIET)
if(NOT fmt_FOUND)
  # A distribution's configuration file accepts only its own major version; any from 8 on will do.
  find_package(fmt QUIET)
endif()
if(NOT fmt_FOUND OR fmt_VERSION VERSION_LESS 8)
  mgrn_note_missing("fmt 8 or newer" "libfmt-dev" "module fmt, or fmt_DIR")
endif()

find_package(spdlog QUIET)
if(NOT spdlog_FOUND OR spdlog_VERSION VERSION_LESS 1.9)
  mgrn_note_missing("spdlog 1.9 or newer, built with that fmt" "libspdlog-dev" "module spdlog, or spdlog_DIR")
endif()

find_package(Boost 1.71 QUIET COMPONENTS program_options)
if(NOT TARGET Boost::program_options)
  mgrn_note_missing("Boost.Program_options 1.71 or newer" "libboost-program-options-dev"
                    "module boost, or BOOST_ROOT")
endif()

# MPI 3: shared-memory windows and non-blocking collectives.
set(MPI_DETERMINE_LIBRARY_VERSION ON)
find_package(MPI QUIET COMPONENTS C)
if(NOT TARGET MPI::MPI_C)
  mgrn_note_missing("MPI 3 (mpicc, mpiexec)" "libopenmpi-dev openmpi-bin, or libmpich-dev mpich"
                    "module openmpi, mpich or intel-mpi, or MPI_HOME")
elseif(MPI_C_VERSION AND MPI_C_VERSION VERSION_LESS 3)
  mgrn_note_missing("MPI 3, found only MPI ${MPI_C_VERSION}" "libopenmpi-dev openmpi-bin"
                    "a newer module openmpi, mpich or intel-mpi, or MPI_HOME")
else()
  # Without these mpi.h pulls in the C++ bindings, which MPI 3 removed and which C++20 cannot compile cleanly.
  set_property(TARGET MPI::MPI_C APPEND PROPERTY
    INTERFACE_COMPILE_DEFINITIONS OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
endif()

set(HDF5_PREFER_PARALLEL ON)
find_package(HDF5 QUIET COMPONENTS C)
if(NOT HDF5_FOUND OR NOT TARGET hdf5::hdf5)
  mgrn_note_missing("parallel HDF5 1.10.2 or newer" "libhdf5-openmpi-dev, or libhdf5-mpich-dev"
                    "module hdf5-mpi, hdf5-parallel or phdf5, or HDF5_ROOT")
elseif(NOT HDF5_IS_PARALLEL)
  mgrn_note_missing("parallel HDF5; the one found is serial (${HDF5_C_INCLUDE_DIRS})"
                    "libhdf5-openmpi-dev, or libhdf5-mpich-dev"
                    "module hdf5-mpi, hdf5-parallel or phdf5, or HDF5_ROOT")
elseif(HDF5_VERSION VERSION_LESS 1.10.2)
  mgrn_note_missing("HDF5 1.10.2 or newer (compressed parallel writes); found ${HDF5_VERSION}"
                    "libhdf5-openmpi-dev" "a newer module hdf5-mpi, or HDF5_ROOT")
elseif(TARGET MPI::MPI_C)
  # A parallel hdf5.h includes mpi.h: whoever compiles against HDF5 needs MPI's include path and definitions.
  target_link_libraries(hdf5::hdf5 INTERFACE MPI::MPI_C)
endif()

include(${CMAKE_CURRENT_LIST_DIR}/MgrnLibTorch.cmake)
if(MGRN_TORCH_PROBLEM)
  mgrn_note_missing("${MGRN_TORCH_PROBLEM}" "not packaged; launch/test.sh installs it without root"
                    "module pytorch or libtorch, then -DTORCH_ROOT=DIR")
endif()
