# SPDX-License-Identifier: Apache-2.0
# Finds the CUDA compiler. Sets MGRN_CUDA_FOUND, and MGRN_CUDA_STATUS, one phrase for the summary. The kernels
# become a module library of their own (mgrn_add_cuda_module), which the program opens when a GPU is asked
# for; nothing else depends on CUDA.
set(MGRN_CUDA "AUTO" CACHE STRING "CUDA kernels: AUTO (build them where nvcc is found), REQUIRED or OFF")
set_property(CACHE MGRN_CUDA PROPERTY STRINGS AUTO REQUIRED OFF)
set(MGRN_CUDA_ARCHITECTURES "80;90;100" CACHE STRING "GPU architectures with code of their own; PTX of the last")
set(MGRN_CUDA_FOUND FALSE)

# Says in `problem` why there can be no kernels; empty where there can.
function(mgrn_find_cuda problem)
  find_package(CUDAToolkit QUIET)
  set(CUDAToolkit_VERSION "${CUDAToolkit_VERSION}" PARENT_SCOPE)
  set(MGRN_NVCC "${CUDAToolkit_NVCC_EXECUTABLE}" PARENT_SCOPE)
  if(NOT CUDAToolkit_FOUND OR NOT CUDAToolkit_NVCC_EXECUTABLE)
    set(${problem} "no nvcc found" PARENT_SCOPE)
  elseif(CUDAToolkit_VERSION VERSION_LESS 12.8)
    set(${problem} "nvcc ${CUDAToolkit_VERSION} is older than 12.8" PARENT_SCOPE)
  elseif(NOT TARGET CUDA::cublas OR NOT TARGET CUDA::cudart_static
         OR NOT EXISTS "${CUDAToolkit_INCLUDE_DIRS}/cublas_v2.h")
    set(${problem} "nvcc ${CUDAToolkit_VERSION} without cuBLAS" PARENT_SCOPE)
  else()
    # nvcc refuses host compilers that are newer than it.
    set(answer "${CUDAToolkit_NVCC_EXECUTABLE} with ${CMAKE_CXX_COMPILER}")
    if(NOT MGRN_NVCC_WORKS STREQUAL answer)
      file(WRITE "${CMAKE_BINARY_DIR}/try_nvcc.cu" "#include <string>\n__global__ void nothing() {}\n")
      execute_process(
        COMMAND "${CUDAToolkit_NVCC_EXECUTABLE}" -std=c++20 -ccbin "${CMAKE_CXX_COMPILER}" -c try_nvcc.cu -o try_nvcc.o
        WORKING_DIRECTORY "${CMAKE_BINARY_DIR}" RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
      if(failed)
        set(${problem} "nvcc ${CUDAToolkit_VERSION} does not work with ${CMAKE_CXX_COMPILER}" PARENT_SCOPE)
        return()
      endif()
      set(MGRN_NVCC_WORKS "${answer}" CACHE INTERNAL "")
    endif()
    set(${problem} "" PARENT_SCOPE)
  endif()
endfunction()

if(MGRN_CUDA STREQUAL "OFF")
  set(MGRN_CUDA_STATUS "off (MGRN_CUDA=OFF)")
elseif(MGRN_CUDA STREQUAL "AUTO" OR MGRN_CUDA STREQUAL "REQUIRED")
  mgrn_find_cuda(mgrn_problem)
  if(NOT mgrn_problem)
    set(MGRN_CUDA_FOUND TRUE)
    list(JOIN MGRN_CUDA_ARCHITECTURES ", sm_" mgrn_names)
    set(MGRN_CUDA_STATUS "nvcc ${CUDAToolkit_VERSION}, kernels for sm_${mgrn_names}")
  elseif(MGRN_CUDA STREQUAL "REQUIRED")
    mgrn_note_missing("a CUDA compiler that works (MGRN_CUDA=REQUIRED): ${mgrn_problem}" "NVIDIA's own cuda-toolkit"
                      "module cuda, or CUDAToolkit_ROOT; or -DMGRN_CUDA=AUTO")
  else()
    set(MGRN_CUDA_STATUS "${mgrn_problem}: no kernels")
  endif()
else()
  message(FATAL_ERROR "MGRN_CUDA is '${MGRN_CUDA}': expected AUTO, REQUIRED or OFF")
endif()

# mgrn_add_cuda_module(TARGET SOURCES file...): a module library of CUDA sources beside the program. nvcc is
# called by rules of our own, not through CMake's CUDA language: they keep what ptxas says about registers and
# spills, SOURCE.log beside the object, which the test cuda_build.no_spills reads.
function(mgrn_add_cuda_module target)
  cmake_parse_arguments(module "" "" "SOURCES" ${ARGN})
  set(codes "")
  foreach(architecture IN LISTS MGRN_CUDA_ARCHITECTURES)
    list(APPEND codes "--generate-code=arch=compute_${architecture},code=sm_${architecture}")
  endforeach()
  list(GET MGRN_CUDA_ARCHITECTURES -1 last)
  list(APPEND codes "--generate-code=arch=compute_${last},code=compute_${last}")
  set(objects "")
  foreach(source IN LISTS module_SOURCES)
    get_filename_component(name "${source}" NAME_WE)
    set(object "${CMAKE_CURRENT_BINARY_DIR}/${target}_${name}.o")
    add_custom_command(OUTPUT "${object}" BYPRODUCTS "${object}.log"
      # No contraction, as for the C++ sources (MgrnOptions.cmake): kernels write the multiply-adds they want.
      COMMAND ${CMAKE_COMMAND} -E env sh "${PROJECT_SOURCE_DIR}/cmake/run_logged.sh" "${object}.log"
              ${CMAKE_CXX_COMPILER_LAUNCHER} "${MGRN_NVCC}" -std=c++20 -O3 --fmad=false ${codes} -Xptxas -v
              -ccbin "${CMAKE_CXX_COMPILER}" -Xcompiler -fPIC,-fvisibility=hidden,-ffp-contract=off
              "-I${PROJECT_SOURCE_DIR}/src" -MD -MF "${object}.d" -c "${CMAKE_CURRENT_SOURCE_DIR}/${source}" -o "${object}"
      DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${source}" "${PROJECT_SOURCE_DIR}/cmake/run_logged.sh"
      DEPFILE "${object}.d"
      COMMENT "Building CUDA object ${target} ${name}" VERBATIM)
    list(APPEND objects "${object}")
  endforeach()
  add_library(${target} MODULE ${objects})
  # Installed, it must find the toolkit's cuBLAS as it does here.
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}"
    INSTALL_RPATH_USE_LINK_PATH ON)
  target_link_libraries(${target} PRIVATE CUDA::cudart_static CUDA::cublas)
endfunction()
