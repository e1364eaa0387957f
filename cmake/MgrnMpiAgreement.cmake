# SPDX-License-Identifier: Apache-2.0
# MPI, HDF5 and the launcher each come from somewhere: three modules, or three of Debian's alternatives. Two MPI
# libraries in one process compile, link, and crash in the first collective write; that is refused here, by
# looking at which MPI libraries a program linked to both would load. Adds to MGRN_MISSING.
if(TARGET MPI::MPI_C AND TARGET hdf5::hdf5 AND HDF5_IS_PARALLEL)
  set(mgrn_pair "${MPI_C_LIBRARIES} ${HDF5_C_LIBRARIES}")
  if(NOT DEFINED MGRN_MPI_LOADED OR NOT MGRN_MPI_LOADED_ASKED STREQUAL mgrn_pair)
    set(mgrn_folder "${PROJECT_BINARY_DIR}/mpi_agreement")
    file(WRITE "${mgrn_folder}/both.c" "#include <hdf5.h>\n#include <mpi.h>\n"
         "int main(int argc, char** argv) { return MPI_Init(&argc, &argv) + H5open(); }\n")
    try_compile(mgrn_linked "${mgrn_folder}" SOURCES "${mgrn_folder}/both.c"
                LINK_LIBRARIES hdf5::hdf5 MPI::MPI_C COPY_FILE "${mgrn_folder}/both")
    set(mgrn_names "")
    if(mgrn_linked)
      execute_process(COMMAND "${CMAKE_COMMAND}" "-DEXECUTABLE=${mgrn_folder}/both"
                              -P "${CMAKE_CURRENT_LIST_DIR}/scripts/mpi_libraries_loaded.cmake"
                      OUTPUT_VARIABLE mgrn_names ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
    endif()
    set(MGRN_MPI_LOADED "${mgrn_names}" CACHE INTERNAL "")
    set(MGRN_MPI_LOADED_ASKED "${mgrn_pair}" CACHE INTERNAL "")
  endif()
  list(LENGTH MGRN_MPI_LOADED mgrn_count)
  if(mgrn_count GREATER 1)
    list(JOIN MGRN_MPI_LOADED " and " mgrn_names)
    mgrn_note_missing("an HDF5 that was built with this MPI; the two found load ${mgrn_names}"
                      "libhdf5-openmpi-dev or libhdf5-mpich-dev, and update-alternatives --config mpi, mpirun, h5pcc"
                      "the hdf5 module of the MPI module that is loaded, or HDF5_ROOT")
  endif()
endif()
