# SPDX-License-Identifier: Apache-2.0
# LibTorch as imported targets of our own: mgrn::torch_cpu. Torch's own package file forces CUDA on and
# links torch_cuda always, which would make every build need a GPU stack.
# TORCH_ROOT is either LibTorch's folder (with include/ and lib/) or a site directory that holds torch/.
set(TORCH_ROOT "$ENV{TORCH_ROOT}" CACHE PATH "LibTorch 2.x: folder with include/ and lib/, or a Python site folder holding torch/")
find_path(MGRN_TORCH_INCLUDE torch/csrc/api/include/torch/torch.h
          HINTS ${TORCH_ROOT} ${TORCH_ROOT}/torch ${Torch_DIR}/../../.. ${CMAKE_PREFIX_PATH}
          PATH_SUFFIXES include torch/include)
find_library(MGRN_TORCH_CPU torch_cpu HINTS ${MGRN_TORCH_INCLUDE}/../lib)
find_library(MGRN_C10 c10 HINTS ${MGRN_TORCH_INCLUDE}/../lib)
if(NOT MGRN_TORCH_INCLUDE OR NOT MGRN_TORCH_CPU OR NOT MGRN_C10)
  message(FATAL_ERROR "LibTorch was not found. launch/test.sh installs it; or give -DTORCH_ROOT=DIR.")
endif()
get_filename_component(MGRN_TORCH_LIB "${MGRN_TORCH_CPU}" DIRECTORY)
get_filename_component(MGRN_TORCH_PREFIX "${MGRN_TORCH_LIB}/.." ABSOLUTE)
# torch_cpu of a CUDA build loads libcudart and libcupti, which a wheel puts beside torch/.
file(GLOB MGRN_TORCH_NVIDIA_LIB LIST_DIRECTORIES true "${MGRN_TORCH_PREFIX}/../nvidia/*/lib")

add_library(mgrn_torch_cpu INTERFACE)
add_library(mgrn::torch_cpu ALIAS mgrn_torch_cpu)
target_include_directories(mgrn_torch_cpu SYSTEM INTERFACE
  "${MGRN_TORCH_INCLUDE}" "${MGRN_TORCH_INCLUDE}/torch/csrc/api/include")
target_link_libraries(mgrn_torch_cpu INTERFACE "${MGRN_TORCH_CPU}" "${MGRN_C10}")
foreach(directory IN LISTS MGRN_TORCH_LIB MGRN_TORCH_NVIDIA_LIB)
  # DT_RPATH, not DT_RUNPATH: the libraries that torch itself loads must be found through it too.
  target_link_options(mgrn_torch_cpu INTERFACE
    "LINKER:-rpath,${directory}" "LINKER:-rpath-link,${directory}")
endforeach()
target_link_options(mgrn_torch_cpu INTERFACE "LINKER:--disable-new-dtags")
