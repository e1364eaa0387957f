# SPDX-License-Identifier: Apache-2.0
# mgrn_add_test(NAME SOURCES file... LINK target... [RANKS n...] [LABELS label...] [TIMEOUT s] [WHOLE]
#               [OPTIMISED] [CONFIGURATION name])
#   without RANKS: every GoogleTest case is a CTest test NAME.Suite.Case (WHOLE: the binary is one test,
#   for binaries that load LibTorch, where starting a process per case would cost more than the case);
#   with RANKS: the binary is one CTest test NAME.ranksN per N, under mpiexec. Odd counts matter. Counts above
#   MGRN_TEST_MAX_RANKS are disabled (MgrnMpiLauncher.cmake).
# In a Release build a test's own files are compiled with -O1, which takes a third off their time; the libraries
# under test are not. OPTIMISED: as the libraries, for tests that compile kernels.
# CONFIGURATION (with WHOLE): run only where it is asked for by that name, ctest -C NAME.
# TIMEOUT is for an ordinary build; sanitizers stretch it (MGRN_TEST_TIMEOUT_FACTOR).
# Labels: unit or mpi, and those given. Without the label gpu a test sees no GPU. PROCESSORS tells ctest -j how many cores a test takes.
include(GoogleTest)
include(MgrnMpiLauncher)

# Stand-ins for libnccl, libcudart and the CUDA module, and the programs that are to find them beside themselves.
set(MGRN_FAKE_GPU_FOLDER "${PROJECT_BINARY_DIR}/tests/fake_gpu")

set(MGRN_TEST_ENVIRONMENT ${MGRN_MPI_ENVIRONMENT} "MGRN_TEST_PYTHON=${MGRN_TEST_PYTHON}")
include(MgrnSanitizers)

# mgrn_timeout(VARIABLE SECONDS): the seconds as this build needs them.
function(mgrn_timeout variable seconds)
  math(EXPR stretched "${seconds} * ${MGRN_TEST_TIMEOUT_FACTOR}")
  set(${variable} ${stretched} PARENT_SCOPE)
endfunction()

function(mgrn_add_test name)
  cmake_parse_arguments(test "WHOLE;OPTIMISED" "TIMEOUT;CONFIGURATION" "SOURCES;LINK;RANKS;LABELS" ${ARGN})
  if(test_UNPARSED_ARGUMENTS OR NOT test_SOURCES)
    message(FATAL_ERROR "mgrn_add_test(${name}): needs SOURCES; cannot read '${test_UNPARSED_ARGUMENTS}'")
  endif()
  # Runs compare bytes on more ranks than there are GPUs, and train.device = auto would take those that it sees.
  set(environment "${MGRN_TEST_ENVIRONMENT}")
  if(NOT "gpu" IN_LIST test_LABELS)
    list(APPEND environment "CUDA_VISIBLE_DEVICES=")
  endif()
  if(NOT test_TIMEOUT)
    set(test_TIMEOUT 120)
  endif()
  mgrn_timeout(test_TIMEOUT ${test_TIMEOUT})
  add_executable(test_${name} ${test_SOURCES})
  target_link_libraries(test_${name} PRIVATE mgrn::warnings mgrn::test_support ${test_LINK}
    $<IF:$<BOOL:${test_RANKS}>,mgrn::mpi_test_main,GTest::gtest_main>)
  if(NOT test_OPTIMISED)
    target_compile_options(test_${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  endif()
  if(test_RANKS)
    foreach(ranks IN LISTS test_RANKS)
      set(too_many FALSE)
      if(ranks GREATER MGRN_TEST_MAX_RANKS)
        set(too_many TRUE)
      endif()
      add_test(NAME ${name}.ranks${ranks}
               COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} ${MPIEXEC_PREFLAGS}
                       $<TARGET_FILE:test_${name}> ${MPIEXEC_POSTFLAGS})
      set_tests_properties(${name}.ranks${ranks} PROPERTIES
        LABELS "mpi;${test_LABELS}" TIMEOUT ${test_TIMEOUT} PROCESSORS ${ranks}
        ENVIRONMENT "${environment}"
        DISABLED ${too_many})
    endforeach()
  elseif(test_WHOLE)
    set(only "")
    if(test_CONFIGURATION)
      set(only CONFIGURATIONS ${test_CONFIGURATION})
    endif()
    add_test(NAME ${name} COMMAND test_${name} ${only})
    set_tests_properties(${name} PROPERTIES LABELS "unit;${test_LABELS}" TIMEOUT ${test_TIMEOUT}
      ENVIRONMENT "${environment}")
  else()
    gtest_discover_tests(test_${name} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
      TEST_LIST ${name}_CASES PROPERTIES TIMEOUT ${test_TIMEOUT})
    # gtest_discover_tests flattens properties that are lists, so these are set in a file that CTest reads
    # after the list of cases.
    set(properties "${CMAKE_CURRENT_BINARY_DIR}/test_${name}_properties.cmake")
    file(CONFIGURE OUTPUT "${properties}" @ONLY CONTENT [[
if(@name@_CASES)
  set_tests_properties(${@name@_CASES} PROPERTIES
    LABELS [==[unit;@test_LABELS@]==] ENVIRONMENT [==[@environment@]==])
endif()
]])
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${properties}")
  endif()
endfunction()

# mgrn_add_fault_test(NAME ...): as mgrn_add_test, for tests without RANKS; label fault, and run under the library
# that lets file operations fail (tests/support/fault_shim.cpp). Sanitizers want to be loaded first, and their
# builds have no need of these tests: they are about the order of system calls.
function(mgrn_add_fault_test name)
  mgrn_add_test(${name} ${ARGN} LABELS fault)
  target_link_libraries(test_${name} PRIVATE ${CMAKE_DL_LIBS})
  add_dependencies(test_${name} mgrn_fault_shim)
  set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT "LD_PRELOAD=$<TARGET_FILE:mgrn_fault_shim>")
  if(MGRN_SANITIZE)
    set_property(TEST ${name} PROPERTY DISABLED TRUE)
  endif()
endfunction()

if(BUILD_TESTING)
  add_library(mgrn_fault_shim SHARED ${PROJECT_SOURCE_DIR}/tests/support/fault_shim.cpp)
  target_link_libraries(mgrn_fault_shim PRIVATE mgrn::warnings ${CMAKE_DL_LIBS})
  target_compile_features(mgrn_fault_shim PRIVATE cxx_std_20)
  set_target_properties(mgrn_fault_shim PROPERTIES CXX_VISIBILITY_PRESET hidden)
  add_library(mgrn_test_support STATIC ${PROJECT_SOURCE_DIR}/tests/support/temporary_directory.cpp
              ${PROJECT_SOURCE_DIR}/tests/support/paths.cpp
              ${PROJECT_SOURCE_DIR}/tests/support/shared_data.cpp
              ${PROJECT_SOURCE_DIR}/tests/support/time_limit.cpp)
  add_library(mgrn::test_support ALIAS mgrn_test_support)
  target_include_directories(mgrn_test_support PUBLIC ${PROJECT_SOURCE_DIR}/tests)
  set_property(SOURCE ${PROJECT_SOURCE_DIR}/tests/support/paths.cpp PROPERTY COMPILE_DEFINITIONS
    "MGRN_SOURCE_DIR=\"${PROJECT_SOURCE_DIR}\";MGRN_BINARY_DIR=\"${PROJECT_BINARY_DIR}\"")
  target_link_libraries(mgrn_test_support PUBLIC mgrn::flags GTest::gtest)
  # main() of tests that run under mpiexec: starts and ends the MPI session round the tests.
  add_library(mgrn_mpi_test_main STATIC ${PROJECT_SOURCE_DIR}/tests/support/mpi_main.cpp)
  add_library(mgrn::mpi_test_main ALIAS mgrn_mpi_test_main)
  target_link_libraries(mgrn_mpi_test_main PUBLIC mgrn::test_support mgrn::comm)
endif()
