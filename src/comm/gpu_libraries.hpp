// SPDX-License-Identifier: Apache-2.0
// NCCL and the CUDA runtime as tables of their functions, opened at run time: the program needs neither to
// start.
#pragma once

#include <cuda_runtime.h>
#include <nccl.h>

#include <string>

namespace mgrn::comm {

struct NcclFunctions {
  decltype(&ncclGetVersion) get_version = nullptr;
  decltype(&ncclGetUniqueId) get_unique_id = nullptr;
  decltype(&ncclCommInitRankConfig) init_rank = nullptr;
  decltype(&ncclCommFinalize) finalize = nullptr;
  decltype(&ncclCommDestroy) destroy = nullptr;
  decltype(&ncclCommAbort) abort = nullptr;
  decltype(&ncclCommGetAsyncError) get_async_error = nullptr;
  decltype(&ncclGetErrorString) get_error_string = nullptr;
  decltype(&ncclGetLastError) get_last_error = nullptr;
  decltype(&ncclAllReduce) all_reduce = nullptr;
  decltype(&ncclBroadcast) broadcast = nullptr;
};

struct CudaFunctions {
  decltype(&cudaGetDeviceCount) get_device_count = nullptr;
  decltype(&cudaGetDeviceProperties) get_device_properties = nullptr;
  decltype(&cudaSetDevice) set_device = nullptr;
  decltype(&cudaGetErrorString) get_error_string = nullptr;
  // Overloaded in CUDA's header; these are the library's.
  cudaError_t (*allocate)(void**, std::size_t) = nullptr;
  cudaError_t (*release)(void*) = nullptr;
  cudaError_t (*copy)(void*, const void*, std::size_t, cudaMemcpyKind, cudaStream_t) = nullptr;
  cudaError_t (*create_stream)(cudaStream_t*, unsigned) = nullptr;
  cudaError_t (*destroy_stream)(cudaStream_t) = nullptr;
  cudaError_t (*query_stream)(cudaStream_t) = nullptr;
};

struct NcclLibrary {
  std::string path;
  NcclFunctions functions;
};

struct CudaLibrary {
  std::string path;
  CudaFunctions functions;
};

/// Opened at the first call, beside the program, where the loader looks, or where the build found them; they
/// stay open. Throw UsageError with what is missing.
const NcclLibrary& nccl_library();
const CudaLibrary& cuda_library();

/// The opened library's, as NCCL_VERSION_CODE. Throws UsageError where it cannot do what nccl.cpp asks for.
int nccl_version();

/// 22809 -> "2.28.9"
std::string version_text(int version);

}  // namespace mgrn::comm
