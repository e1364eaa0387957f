# SPDX-License-Identifier: Apache-2.0
# How tests start ranks. Sets MGRN_MPI_IMPLEMENTATION (the launcher's own name for itself) and
# MGRN_MPI_ENVIRONMENT, the variables every test that uses MPI runs with.
if(NOT DEFINED MGRN_MPI_IMPLEMENTATION OR NOT MGRN_MPI_LAUNCHER_ASKED STREQUAL "${MPIEXEC_EXECUTABLE}")
  set(mgrn_answer "")
  if(MPIEXEC_EXECUTABLE)
    execute_process(COMMAND "${MPIEXEC_EXECUTABLE}" --version
                    OUTPUT_VARIABLE mgrn_answer ERROR_VARIABLE mgrn_answer TIMEOUT 30)
  endif()
  if(mgrn_answer MATCHES "(Open ?MPI|OpenRTE|PRTE)[^0-9]*([0-9]+\\.[0-9.]+)")
    set(mgrn_name "Open MPI ${CMAKE_MATCH_2}")
  elseif(mgrn_answer MATCHES "Intel.*Version ([0-9.]+)")
    set(mgrn_name "Intel MPI ${CMAKE_MATCH_1}")
  elseif(mgrn_answer MATCHES "HYDRA.*Version: +([0-9.]+)")
    set(mgrn_name "MPICH ${CMAKE_MATCH_1}")
  else()
    set(mgrn_name "unknown MPI")
  endif()
  set(MGRN_MPI_IMPLEMENTATION "${mgrn_name}" CACHE INTERNAL "")
  set(MGRN_MPI_LAUNCHER_ASKED "${MPIEXEC_EXECUTABLE}" CACHE INTERNAL "")
endif()

# Open MPI's library and another's launcher, or the other way round: each rank would be alone. Of the others, many
# share MPICH's launcher.
string(REGEX MATCH "Open MPI" mgrn_library_family "${MPI_C_LIBRARY_VERSION_STRING}")
string(REGEX MATCH "Open MPI" mgrn_launcher_family "${MGRN_MPI_IMPLEMENTATION}")
if(MPI_C_LIBRARY_VERSION_STRING AND NOT MGRN_MPI_IMPLEMENTATION STREQUAL "unknown MPI"
   AND NOT mgrn_library_family STREQUAL mgrn_launcher_family)
  string(REGEX MATCH "^[^\n,]*" mgrn_library "${MPI_C_LIBRARY_VERSION_STRING}")
  message(WARNING "${MPIEXEC_EXECUTABLE} is the launcher of ${MGRN_MPI_IMPLEMENTATION}, the library is "
    "${mgrn_library}: tests under mpiexec will fail. Load one MPI module, on Debian set the alternatives mpi and "
    "mpirun to the same, or give -DMPIEXEC_EXECUTABLE=, then delete CMakeCache.txt and configure again.")
endif()

set(MGRN_MPI_ENVIRONMENT "OMP_NUM_THREADS=1" "HDF5_USE_FILE_LOCKING=BEST_EFFORT")
if(MGRN_MPI_IMPLEMENTATION MATCHES "Open MPI")
  # Root needs leave to run, more ranks than cores need leave to oversubscribe and must yield while they
  # wait. Binding is off: two tests side by side would otherwise both be bound to the first core. Open MPI 4
  # reads the OMPI names, 5 hands launching to PRRTE with names of its own.
  list(APPEND MGRN_MPI_ENVIRONMENT
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
    OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
    OMPI_MCA_hwloc_base_binding_policy=none PRTE_MCA_hwloc_default_binding_policy=none
    OMPI_MCA_mpi_yield_when_idle=1)
endif()

# Open MPI's ranks yield while they wait, so any number of them runs on any number of cores. Others spin: more
# ranks than cores take a hundred times as long there, and such tests are disabled.
cmake_host_system_information(RESULT mgrn_cores QUERY NUMBER_OF_LOGICAL_CORES)
if(MGRN_MPI_IMPLEMENTATION MATCHES "Open MPI" OR mgrn_cores GREATER 64)
  set(mgrn_cores 64)
endif()
set(MGRN_TEST_MAX_RANKS ${mgrn_cores} CACHE STRING "Tests with more ranks than this are disabled")

# The same for launch/demo.sh, which starts ranks as a person would.
set(mgrn_lines "MGRN_MPIEXEC='${MPIEXEC_EXECUTABLE}'\n")
foreach(mgrn_variable IN LISTS MGRN_MPI_ENVIRONMENT)
  string(APPEND mgrn_lines "export ${mgrn_variable}\n")
endforeach()
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/mpi_environment.sh" CONTENT "${mgrn_lines}" @ONLY)
