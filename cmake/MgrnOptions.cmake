# SPDX-License-Identifier: Apache-2.0
# Build options, and the two interface targets that carry flags and warnings.
option(MGRN_WARNINGS_AS_ERRORS "Treat compiler warnings as errors (on in CI)" OFF)
set(MGRN_SANITIZE "" CACHE STRING "Sanitizers for the whole build: empty, 'address;undefined' or 'thread'")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(MGRN_CCACHE ccache)
if(MGRN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${MGRN_CCACHE}")
endif()

add_library(mgrn_flags INTERFACE)
add_library(mgrn::flags ALIAS mgrn_flags)
target_compile_features(mgrn_flags INTERFACE cxx_std_20)
set_target_properties(mgrn_flags PROPERTIES EXPORT_NAME flags)
# Contraction and fast-math are off so that a number does not depend on how the compiler groups an
# expression; kernels that want fused multiply-adds write them.
target_compile_options(mgrn_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)
if(MGRN_SANITIZE)
  list(JOIN MGRN_SANITIZE "," mgrn_sanitizers)
  # What is found ends the process: a message that a test's own output buries would pass. Line tables are enough
  # for a stack, and a third of the size.
  target_compile_options(mgrn_flags INTERFACE
    -fsanitize=${mgrn_sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(mgrn_flags INTERFACE -fsanitize=${mgrn_sanitizers})
  if("address" IN_LIST MGRN_SANITIZE)
    target_sources(mgrn_flags INTERFACE
      $<BUILD_INTERFACE:$<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:${PROJECT_SOURCE_DIR}/cmake/sanitizers/keep_libraries.cpp>>)
  endif()
endif()

add_library(mgrn_warnings INTERFACE)
add_library(mgrn::warnings ALIAS mgrn_warnings)
target_compile_options(mgrn_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Wold-style-cast -Woverloaded-virtual>)
# GCC 12 finds overlapping copies of 2^63 bytes in `"text" + std::string` (GCC bug 105651, mended in 13).
target_compile_options(mgrn_warnings INTERFACE
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>,$<VERSION_GREATER_EQUAL:$<CXX_COMPILER_VERSION>,12>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
if(MGRN_WARNINGS_AS_ERRORS)
  target_compile_options(mgrn_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
