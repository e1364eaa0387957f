# SPDX-License-Identifier: Apache-2.0
# LibTorch as an imported target of our own, mgrn::torch_cpu. Torch's own package file forces CUDA on and
# links torch_cuda always, which would make every build need a GPU stack.
#
# Looked for in TORCH_ROOT (CMake or environment; LibTorch's folder with include/ and lib/, or a Python site
# folder that holds torch/), in Torch_DIR, in MGRN_TORCH_HINT and along CMAKE_PREFIX_PATH.
# Sets MGRN_TORCH_VERSION, and MGRN_TORCH_PROBLEM: empty, or why there is no mgrn::torch_cpu.
set(TORCH_ROOT "$ENV{TORCH_ROOT}" CACHE PATH
    "LibTorch 2: folder with include/ and lib/, or a Python site folder holding torch/")
if(DEFINED CACHE{MGRN_TORCH_ROOT_ASKED} AND NOT MGRN_TORCH_ROOT_ASKED STREQUAL TORCH_ROOT)
  # Another TORCH_ROOT than last time: forget what was found under the old one.
  unset(MGRN_TORCH_INCLUDE CACHE)
  unset(MGRN_TORCH_CPU CACHE)
  unset(MGRN_C10 CACHE)
endif()
set(MGRN_TORCH_ROOT_ASKED "${TORCH_ROOT}" CACHE INTERNAL "")
find_path(MGRN_TORCH_INCLUDE torch/csrc/api/include/torch/torch.h
  HINTS ${TORCH_ROOT} ${TORCH_ROOT}/torch ${Torch_DIR}/../../.. ${MGRN_TORCH_HINT}
  PATH_SUFFIXES include torch/include)
mark_as_advanced(MGRN_TORCH_INCLUDE)
find_library(MGRN_TORCH_CPU torch_cpu HINTS ${MGRN_TORCH_INCLUDE}/../lib)
find_library(MGRN_C10 c10 HINTS ${MGRN_TORCH_INCLUDE}/../lib)
mark_as_advanced(MGRN_TORCH_CPU MGRN_C10)

set(MGRN_TORCH_PROBLEM "")
set(MGRN_TORCH_VERSION "")
if(NOT MGRN_TORCH_INCLUDE OR NOT MGRN_TORCH_CPU OR NOT MGRN_C10)
  set(MGRN_TORCH_PROBLEM "LibTorch 2 (torch/torch.h, libtorch_cpu, libc10)")
  return()
endif()

get_filename_component(mgrn_torch_lib "${MGRN_TORCH_CPU}" DIRECTORY)
get_filename_component(mgrn_torch_prefix "${mgrn_torch_lib}/.." ABSOLUTE)
set(MGRN_TORCH_HINT "${mgrn_torch_prefix}")

foreach(mgrn_version_header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
  if(EXISTS "${MGRN_TORCH_INCLUDE}/${mgrn_version_header}" AND NOT MGRN_TORCH_VERSION)
    file(STRINGS "${MGRN_TORCH_INCLUDE}/${mgrn_version_header}" mgrn_version_lines
         REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
    string(REGEX REPLACE "[^0-9;]" "" mgrn_version_lines "${mgrn_version_lines}")
    string(REPLACE ";" "." MGRN_TORCH_VERSION "${mgrn_version_lines}")
  endif()
endforeach()
if(MGRN_TORCH_VERSION AND MGRN_TORCH_VERSION VERSION_LESS 2)
  set(MGRN_TORCH_PROBLEM "LibTorch 2; the one found is ${MGRN_TORCH_VERSION} (${mgrn_torch_prefix})")
  return()
endif()

# Old wheels were built with the C++ ABI of before C++11: they compile against and fail only when linked.
set(mgrn_torch_config "${mgrn_torch_prefix}/share/cmake/Torch/TorchConfig.cmake")
if(EXISTS "${mgrn_torch_config}")
  file(STRINGS "${mgrn_torch_config}" mgrn_old_abi REGEX "_GLIBCXX_USE_CXX11_ABI=0")
  if(mgrn_old_abi)
    set(MGRN_TORCH_PROBLEM "LibTorch with the C++11 ABI; the one found has the old one (${mgrn_torch_prefix})")
    return()
  endif()
endif()

# The CPU library of a CUDA build still loads libcudart and libcupti. A wheel finds them in nvidia/ beside
# torch/, a LibTorch of its own keeps them in lib/, otherwise they come with the CUDA toolkit.
file(GLOB mgrn_nvidia_lib LIST_DIRECTORIES true "${mgrn_torch_prefix}/../nvidia/*/lib")
set(mgrn_torch_rpath "${mgrn_torch_lib}" ${mgrn_nvidia_lib})
if(EXISTS "${mgrn_torch_lib}/libc10_cuda.so")
  file(GLOB mgrn_cudart "${mgrn_torch_lib}/libcudart*.so*" "${mgrn_torch_prefix}/../nvidia/*/lib/libcudart*.so*")
  if(NOT mgrn_cudart)
    find_package(CUDAToolkit QUIET)
    if(CUDAToolkit_FOUND)
      list(APPEND mgrn_torch_rpath "${CUDAToolkit_LIBRARY_DIR}" "${CUDAToolkit_LIBRARY_ROOT}/extras/CUPTI/lib64")
    else()
      set(MGRN_TORCH_PROBLEM
          "libcudart and libcupti, which the CUDA build of LibTorch in ${mgrn_torch_prefix} loads")
      return()
    endif()
  endif()
endif()

if(NOT TARGET mgrn::torch_cpu)
  add_library(mgrn::torch_cpu INTERFACE IMPORTED)
  target_include_directories(mgrn::torch_cpu SYSTEM INTERFACE
    "${MGRN_TORCH_INCLUDE}" "${MGRN_TORCH_INCLUDE}/torch/csrc/api/include")
  target_link_libraries(mgrn::torch_cpu INTERFACE "${MGRN_TORCH_CPU}" "${MGRN_C10}")
  # DT_RPATH, not DT_RUNPATH: the libraries that torch itself loads must be found through it too.
  target_link_options(mgrn::torch_cpu INTERFACE "LINKER:--disable-new-dtags")
  foreach(mgrn_directory IN LISTS mgrn_torch_rpath)
    target_link_options(mgrn::torch_cpu INTERFACE
      "LINKER:-rpath,${mgrn_directory}" "LINKER:-rpath-link,${mgrn_directory}")
  endforeach()
endif()
