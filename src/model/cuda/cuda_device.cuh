// SPDX-License-Identifier: Apache-2.0
// A GPU as a Device (step.hpp): one stream, cuBLAS in float32 without atomics, steps recorded as CUDA graphs.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "model/cuda/device.cuh"
#include "model/cuda/step.hpp"

namespace mgrn::model::cuda {

inline void check(cudaError_t result, const char* what) {
  if (result != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(result));
}
inline void check(cublasStatus_t result, const char* what) {
  if (result != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error(std::string(what) + ": " + cublasGetStatusString(result));
}

/// Memory of a GPU and a stream that fills it.
class CudaMemory {
 public:
  explicit CudaMemory(int device) : device_(device) {
    try {
      select();
      int bytes = 0;
      check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device_),
            "cudaDeviceGetAttribute");
      shared_limit_ = static_cast<std::size_t>(bytes);
      check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    } catch (...) {
      close();
      throw;
    }
  }
  ~CudaMemory() { close(); }
  CudaMemory(const CudaMemory&) = delete;
  CudaMemory& operator=(const CudaMemory&) = delete;

  std::size_t shared_limit() const { return shared_limit_; }

  void select() { check(cudaSetDevice(device_), "cudaSetDevice"); }
  void* allocate(std::size_t bytes) {
    void* place = nullptr;
    check(cudaMalloc(&place, bytes > 0 ? bytes : 1), "cudaMalloc");
    memory_.push_back(place);
    return place;
  }
  void upload(void* to, const void* from, std::size_t bytes) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_), "copying to the device");
  }
  void finish() { check(cudaStreamSynchronize(stream_), "the kernels"); }

 protected:
  int device() const { return device_; }
  cudaStream_t stream() const { return stream_; }

 private:
  void close() {
    cudaSetDevice(device_);
    if (stream_ != nullptr) cudaStreamSynchronize(stream_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
    for (void* place : memory_) cudaFree(place);
  }

  int device_;
  std::size_t shared_limit_ = 0;
  cudaStream_t stream_ = nullptr;
  std::vector<void*> memory_;
};

class CudaDevice : public CudaMemory {
 public:
  using Memory = CudaMemory;

  static int device_count(Message* message) {
    int count = 0;
    const cudaError_t result = cudaGetDeviceCount(&count);
    if (result != cudaSuccess) {
      say(message, cudaGetErrorString(result));
      return 0;
    }
    if (count == 0) say(message, "CUDA finds no device");
    return count;
  }

  static std::string device_name(int device) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    return std::string(properties.name) + " (sm_" + std::to_string(properties.major) +
           std::to_string(properties.minor) + ")";
  }

  explicit CudaDevice(int device) : CudaMemory(device) {
    try {
      open();
    } catch (...) {
      close();
      throw;
    }
  }
  ~CudaDevice() { close(); }

  void* allocate_staging(std::size_t bytes) {
    void* place = nullptr;
    check(cudaMallocHost(&place, bytes > 0 ? bytes : 1), "cudaMallocHost");
    staging_.push_back(place);
    return place;
  }
  void download(void* to, const void* from, std::size_t bytes) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()), "copying from the device");
  }
  void copy(void* to, const void* from, std::size_t bytes) {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "copying on the device");
  }
  void zero(void* place, std::size_t bytes) {
    check(cudaMemsetAsync(place, 0, bytes, stream()), "cudaMemsetAsync");
  }

  template <typename Body>
  void launch(const Body& body, int blocks, int threads, std::size_t shared_bytes) {
    constexpr std::size_t kWithoutAsking = 48 * 1024;
    if (shared_bytes > kWithoutAsking) {
      check(cudaFuncSetAttribute(run_body<Body>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared_bytes)),
            "cudaFuncSetAttribute");
    }
    run_body<Body><<<blocks, threads, shared_bytes, stream()>>>(body);
    check(cudaGetLastError(), "starting a kernel");
  }

  void multiply(bool a_transposed, bool b_transposed, int m, int n, int k, const float* a, const float* b,
                float* c) {
    // cuBLAS reads columns first, so it sees the transposes of all three.
    const float one = 1.0f, zero = 0.0f;
    check(
        cublasSgemm(blas_, b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                    n, m, k, &one, b, b_transposed ? k : n, a, a_transposed ? m : k, &zero, c, n),
        "cublasSgemm");
  }

  /// The first time `work` runs as it is, which lets libraries set themselves up; then it is recorded.
  template <typename Work>
  void replay(int graph, const Work& work) {
    Graph& recorded = graphs_[static_cast<std::size_t>(graph)];
    if (!recorded.warm) {
      work();
      recorded.warm = true;
      return;
    }
    if (recorded.executable == nullptr) {
      cudaGraph_t graph_ = nullptr;
      check(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal), "recording a step");
      try {
        work();
      } catch (...) {
        cudaStreamEndCapture(stream(), &graph_);
        if (graph_ != nullptr) cudaGraphDestroy(graph_);
        throw;
      }
      check(cudaStreamEndCapture(stream(), &graph_), "recording a step");
      const cudaError_t result = cudaGraphInstantiate(&recorded.executable, graph_, 0);
      cudaGraphDestroy(graph_);
      check(result, "cudaGraphInstantiate");
    }
    check(cudaGraphLaunch(recorded.executable, stream()), "cudaGraphLaunch");
  }

 private:
  void open() {
    check(cublasCreate(&blas_), "cublasCreate");
    check(cublasSetStream(blas_, stream()), "cublasSetStream");
    // A work space of its own and one stream: cuBLAS then gives the same bits every time, and can be
    // recorded.
    constexpr std::size_t kWorkSpace = 32 << 20;
    check(cublasSetWorkspace(blas_, allocate(kWorkSpace), kWorkSpace), "cublasSetWorkspace");
    check(cublasSetMathMode(blas_, CUBLAS_PEDANTIC_MATH), "cublasSetMathMode");
    check(cublasSetAtomicsMode(blas_, CUBLAS_ATOMICS_NOT_ALLOWED), "cublasSetAtomicsMode");
  }

  void close() {
    cudaSetDevice(device());
    cudaStreamSynchronize(stream());
    for (const Graph& graph : graphs_) {
      if (graph.executable != nullptr) cudaGraphExecDestroy(graph.executable);
    }
    if (blas_ != nullptr) cublasDestroy(blas_);
    for (void* place : staging_) cudaFreeHost(place);
  }

  struct Graph {
    bool warm = false;
    cudaGraphExec_t executable = nullptr;
  };
  cublasHandle_t blas_ = nullptr;
  std::array<Graph, kGraphs> graphs_;
  std::vector<void*> staging_;
};

/// Defined in a source of its own for each width (width4.cu, ...), so that they compile side by side.
template <int kWidth>
Step* make_cuda_step(const StepShape& shape, const Polynomial* polynomials, const float* positions,
                     int device);

}  // namespace mgrn::model::cuda
