# SPDX-License-Identifier: Apache-2.0
# mgrn_add_test(NAME SOURCES file... LINK target... [RANKS n...] [LABELS label...] [TIMEOUT s] [WHOLE])
#   without RANKS: every GoogleTest case is a CTest test NAME.Suite.Case (WHOLE: the binary is one test,
#   for binaries that load LibTorch, where starting a process per case would cost more than the case);
#   with RANKS: the binary is one CTest test NAME.ranksN per N, under mpiexec. Odd counts matter.
include(GoogleTest)

# Root needs leave to run mpirun, more ranks than cores need leave to oversubscribe; both are Open MPI's
# words and harmless to others.
set(MGRN_MPI_ENVIRONMENT
  "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_rmaps_base_oversubscribe=1;OMPI_MCA_mpi_yield_when_idle=1;OMP_NUM_THREADS=1;HDF5_USE_FILE_LOCKING=BEST_EFFORT")

function(mgrn_add_test name)
  cmake_parse_arguments(test "WHOLE" "TIMEOUT" "SOURCES;LINK;RANKS;LABELS" ${ARGN})
  if(NOT test_TIMEOUT)
    set(test_TIMEOUT 120)
  endif()
  add_executable(test_${name} ${test_SOURCES})
  target_link_libraries(test_${name} PRIVATE mgrn::warnings mgrn::test_support ${test_LINK}
    $<IF:$<BOOL:${test_RANKS}>,mgrn::mpi_test_main,GTest::gtest_main>)
  target_compile_definitions(test_${name} PRIVATE
    MGRN_SOURCE_DIR="${PROJECT_SOURCE_DIR}" MGRN_BINARY_DIR="${PROJECT_BINARY_DIR}")
  if(test_RANKS)
    foreach(ranks IN LISTS test_RANKS)
      add_test(NAME ${name}.ranks${ranks}
               COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} $<TARGET_FILE:test_${name}>)
      set_tests_properties(${name}.ranks${ranks} PROPERTIES
        LABELS "mpi;${test_LABELS}" TIMEOUT ${test_TIMEOUT} PROCESSORS ${ranks}
        ENVIRONMENT "${MGRN_MPI_ENVIRONMENT}")
    endforeach()
  elseif(test_WHOLE)
    add_test(NAME ${name} COMMAND test_${name})
    set_tests_properties(${name} PROPERTIES LABELS "unit;${test_LABELS}" TIMEOUT ${test_TIMEOUT}
      ENVIRONMENT "OMP_NUM_THREADS=1")
  else()
    gtest_discover_tests(test_${name} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
      PROPERTIES LABELS "unit;${test_LABELS}" TIMEOUT ${test_TIMEOUT} ENVIRONMENT "OMP_NUM_THREADS=1")
  endif()
endfunction()

if(BUILD_TESTING)
  add_library(mgrn_test_support STATIC ${PROJECT_SOURCE_DIR}/tests/support/temporary_directory.cpp
              ${PROJECT_SOURCE_DIR}/tests/support/shared_data.cpp)
  add_library(mgrn::test_support ALIAS mgrn_test_support)
  target_include_directories(mgrn_test_support PUBLIC ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(mgrn_test_support PRIVATE MGRN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(mgrn_test_support PUBLIC mgrn::flags GTest::gtest)
  # main() of tests that run under mpiexec: starts and ends the MPI session round the tests.
  add_library(mgrn_mpi_test_main STATIC ${PROJECT_SOURCE_DIR}/tests/support/mpi_main.cpp)
  add_library(mgrn::mpi_test_main ALIAS mgrn_mpi_test_main)
  target_link_libraries(mgrn_mpi_test_main PUBLIC mgrn::test_support mgrn::comm)
endif()
