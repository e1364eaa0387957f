# SPDX-License-Identifier: Apache-2.0
# cmake -DEXECUTABLE=FILE -P mpi_libraries_loaded.cmake: prints the names of the MPI libraries that FILE loads,
# itself or through others, separated by semicolons. A script, since cmake looks into binaries only there.
cmake_minimum_required(VERSION 3.22)
# Only names count, so what cannot be resolved or is there twice is looked at as well.
file(GET_RUNTIME_DEPENDENCIES EXECUTABLES "${EXECUTABLE}"
     RESOLVED_DEPENDENCIES_VAR resolved UNRESOLVED_DEPENDENCIES_VAR unresolved CONFLICTING_DEPENDENCIES_PREFIX conflict)
set(names "")
foreach(library IN LISTS resolved unresolved conflict_FILENAMES)
  get_filename_component(name "${library}" NAME)
  # libmpi.so.40 is Open MPI's, libmpi.so.12 MPICH's or Intel MPI's, libmpich.so.12 Debian's MPICH.
  if(name MATCHES "^lib(mpi|mpich)\\.so")
    list(APPEND names "${name}")
  endif()
endforeach()
list(REMOVE_DUPLICATES names)
execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "${names}")
