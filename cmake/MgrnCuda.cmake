# SPDX-License-Identifier: Apache-2.0
# Finds the CUDA compiler. Sets MGRN_CUDA_STATUS, one phrase for the summary. Kernels that need nvcc belong
# in src/model/cuda, and are chosen in src/model/CMakeLists.txt by MGRN_CUDA_FOUND: a file each way, no
# preprocessor switches.
set(MGRN_CUDA "AUTO" CACHE STRING "CUDA compiler: AUTO (use it when found), REQUIRED or OFF")
set_property(CACHE MGRN_CUDA PROPERTY STRINGS AUTO REQUIRED OFF)
set(MGRN_CUDA_FOUND FALSE)
if(MGRN_CUDA STREQUAL "OFF")
  set(MGRN_CUDA_STATUS "off (MGRN_CUDA=OFF)")
elseif(MGRN_CUDA STREQUAL "AUTO" OR MGRN_CUDA STREQUAL "REQUIRED")
  find_package(CUDAToolkit QUIET)
  if(CUDAToolkit_FOUND AND CUDAToolkit_NVCC_EXECUTABLE)
    set(MGRN_CUDA_FOUND TRUE)
    set(MGRN_CUDA_STATUS "nvcc ${CUDAToolkit_VERSION} found")
  elseif(MGRN_CUDA STREQUAL "REQUIRED")
    mgrn_note_missing("the CUDA compiler (MGRN_CUDA=REQUIRED)" "NVIDIA's own cuda-toolkit"
                      "module cuda, or CUDAToolkit_ROOT; or -DMGRN_CUDA=AUTO")
  else()
    set(MGRN_CUDA_STATUS "no nvcc found")
  endif()
else()
  message(FATAL_ERROR "MGRN_CUDA is '${MGRN_CUDA}': expected AUTO, REQUIRED or OFF")
endif()
