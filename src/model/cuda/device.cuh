// SPDX-License-Identifier: Apache-2.0
// A kernel's body on a GPU: what it knows of its thread, and the one kernel that runs any body.
#pragma once

#include "model/cuda/layout.hpp"

namespace mgrn::model::cuda {

extern __shared__ __align__(16) float shared_floats[];

class DeviceBlock {
 public:
  __device__ __forceinline__ int thread() const { return static_cast<int>(threadIdx.x); }
  __device__ __forceinline__ int threads() const { return static_cast<int>(blockDim.x); }
  __device__ __forceinline__ int block() const { return static_cast<int>(blockIdx.x); }
  __device__ __forceinline__ int blocks() const { return static_cast<int>(gridDim.x); }
  __device__ __forceinline__ float* shared() const { return shared_floats; }
  __device__ __forceinline__ void sync() const { __syncthreads(); }
  /// A barrier of the `threads` threads of one group; barrier 0 is the block's.
  __device__ __forceinline__ void sync_group(int group, int threads) const {
    asm volatile("barrier.sync %0, %1;" : : "r"(group + 1), "r"(threads) : "memory");
  }
  __device__ __forceinline__ void sync_warp() const { __syncwarp(); }
  /// Towards the multiprocessor; nothing waits for it.
  __device__ __forceinline__ void prefetch(const float* place) const {
    asm volatile("prefetch.global.L1 [%0];" : : "l"(place));
  }
  __device__ __forceinline__ float shuffle_xor(float value, int lanes) const {
    return __shfl_xor_sync(0xffffffffu, value, lanes);
  }
  __device__ __forceinline__ double shuffle_xor(double value, int lanes) const {
    return __shfl_xor_sync(0xffffffffu, value, lanes);
  }
  __device__ __forceinline__ void atomic_max(std::uint32_t* place, std::uint32_t value) const {
    atomicMax(place, value);
  }
  __device__ __forceinline__ void atomic_add(std::uint32_t* place, std::uint32_t value) const {
    atomicAdd(place, value);
  }
};

template <typename Body>
__global__ void __launch_bounds__(Body::kMostThreads, Body::kBlocksTogether) run_body(const Body body) {
  DeviceBlock block;
  body(block);
}

}  // namespace mgrn::model::cuda
