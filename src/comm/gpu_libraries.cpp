// SPDX-License-Identifier: Apache-2.0
#include "gpu_libraries.hpp"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "multigrnformer/base/error.hpp"

namespace mgrn::comm {
namespace {

// A name that CUDA's header may have defined as another one (cudaGetDeviceProperties_v2), as text.
#define MGRN_TEXT_OF(name) #name
#define MGRN_TEXT(name) MGRN_TEXT_OF(name)

constexpr const char* kNcclName = "libnccl.so.2";
constexpr const char* kCudaName = MGRN_CUDART_NAME;  // of the header's major version
// Where CMake found them; empty where it did not.
constexpr const char* kNcclFolder = MGRN_NCCL_FOLDER;
constexpr const char* kCudaFolder = MGRN_CUDART_FOLDER;
// The oldest with everything nccl.cpp calls, non-blocking communicators above all.
constexpr int kOldestNccl = NCCL_VERSION(2, 14, 3);

[[noreturn]] void refuse(const std::string& name, std::string got) {
  throw base::UsageError(
      {.what = "a library for ranks on GPUs cannot be loaded",
       .file = "train.device",
       .expected = name + " beside the program or where the loader looks",
       .got = std::move(got),
       .hint =
           "load the modules of CUDA and NCCL that this program was built with (LD_LIBRARY_PATH), start one "
           "rank, or set train.device to cpu"});
}

std::vector<std::string> places_of(const std::string& name, const std::string& build_folder) {
  std::vector<std::string> places;
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error && std::filesystem::exists(program.parent_path() / name, error)) {
    places.push_back((program.parent_path() / name).string());
  }
  places.push_back(name);
  if (!build_folder.empty()) {
    places.push_back((std::filesystem::path(build_folder) / name).string());
  }
  return places;
}

class Library {
 public:
  Library(std::string name, const std::string& build_folder) : name_(std::move(name)) {
    std::string problem;
    for (const std::string& place : places_of(name_, build_folder)) {
      handle_ = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle_ != nullptr) {
        return;
      }
      const char* reason = dlerror();
      if (problem.empty()) {
        problem = reason == nullptr ? place : reason;
      }
    }
    refuse(name_, problem);
  }

  template <typename Function>
  void bind(const char* symbol, Function*& function) {
    void* address = dlsym(handle_, symbol);
    if (address == nullptr) {
      refuse(name_, path_of(symbol) + " without " + symbol);
    }
    function = reinterpret_cast<Function*>(address);
    path_ = path_of(address);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_of(const void* address) const {
    Dl_info found{};
    return dladdr(address, &found) != 0 && found.dli_fname != nullptr ? found.dli_fname : name_;
  }

  std::string name_;
  std::string path_;
  void* handle_ = nullptr;
};

NcclLibrary open_nccl() {
  Library library(kNcclName, kNcclFolder);
  NcclLibrary nccl;
  NcclFunctions& functions = nccl.functions;
  library.bind(MGRN_TEXT(ncclGetVersion), functions.get_version);
  library.bind(MGRN_TEXT(ncclGetUniqueId), functions.get_unique_id);
  library.bind(MGRN_TEXT(ncclCommInitRankConfig), functions.init_rank);
  library.bind(MGRN_TEXT(ncclCommFinalize), functions.finalize);
  library.bind(MGRN_TEXT(ncclCommDestroy), functions.destroy);
  library.bind(MGRN_TEXT(ncclCommAbort), functions.abort);
  library.bind(MGRN_TEXT(ncclCommGetAsyncError), functions.get_async_error);
  library.bind(MGRN_TEXT(ncclGetErrorString), functions.get_error_string);
  library.bind(MGRN_TEXT(ncclGetLastError), functions.get_last_error);
  library.bind(MGRN_TEXT(ncclAllReduce), functions.all_reduce);
  library.bind(MGRN_TEXT(ncclBroadcast), functions.broadcast);
  nccl.path = library.path();
  return nccl;
}

CudaLibrary open_cuda() {
  Library library(kCudaName, kCudaFolder);
  CudaLibrary cuda;
  CudaFunctions& functions = cuda.functions;
  library.bind(MGRN_TEXT(cudaGetDeviceCount), functions.get_device_count);
  library.bind(MGRN_TEXT(cudaGetDeviceProperties), functions.get_device_properties);
  library.bind(MGRN_TEXT(cudaSetDevice), functions.set_device);
  library.bind(MGRN_TEXT(cudaGetErrorString), functions.get_error_string);
  library.bind(MGRN_TEXT(cudaMalloc), functions.allocate);
  library.bind(MGRN_TEXT(cudaFree), functions.release);
  library.bind(MGRN_TEXT(cudaMemcpyAsync), functions.copy);
  library.bind(MGRN_TEXT(cudaStreamCreateWithFlags), functions.create_stream);
  library.bind(MGRN_TEXT(cudaStreamDestroy), functions.destroy_stream);
  library.bind(MGRN_TEXT(cudaStreamQuery), functions.query_stream);
  cuda.path = library.path();
  return cuda;
}

#undef MGRN_TEXT
#undef MGRN_TEXT_OF

}  // namespace

const NcclLibrary& nccl_library() {
  static const NcclLibrary library = open_nccl();
  return library;
}

const CudaLibrary& cuda_library() {
  static const CudaLibrary library = open_cuda();
  return library;
}

int nccl_version() {
  const NcclLibrary& nccl = nccl_library();
  int version = 0;
  if (nccl.functions.get_version(&version) != ncclSuccess) {
    refuse(kNcclName, nccl.path + ", which does not tell its version");
  }
  if (version < kOldestNccl) {
    throw base::UsageError(
        {.what = "NCCL is too old",
         .file = nccl.path,
         .expected = version_text(kOldestNccl) + " or newer",
         .got = version_text(version),
         .hint = "load a newer module of NCCL, start one rank, or set train.device to cpu"});
  }
  return version;
}

std::string version_text(int version) {
  // NCCL counted in thousands up to 2.8.
  const int major = version >= 10000 ? version / 10000 : version / 1000;
  const int rest = version >= 10000 ? version % 10000 : version % 1000;
  return std::to_string(major) + "." + std::to_string(rest / 100) + "." + std::to_string(rest % 100);
}

}  // namespace mgrn::comm
