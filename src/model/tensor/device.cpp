// SPDX-License-Identifier: Apache-2.0
#include "model/tensor/device.hpp"

#include <ATen/Context.h>
#include <dlfcn.h>

#include "multigrnformer/base/error.hpp"

namespace mgrn::model::tensor {
namespace {

[[noreturn]] void refuse(const std::string& got, const char* hint) {
  throw base::UsageError({.what = "LibTorch cannot use a GPU here",
                          .file = "train.device",
                          .expected = "cpu, or a machine with a GPU and a CUDA build of LibTorch",
                          .got = got,
                          .hint = hint});
}

}  // namespace

c10::Device open_device(const std::string& name, int gpu) {
  if (name != "cuda") return c10::kCPU;
  // Loading it registers its devices; it stays loaded. LibTorch looks for them once, at the first question
  // after them, and remembers the answer: it must not be asked before.
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    const char* reason = dlerror();
    refuse(reason == nullptr ? "no libtorch_cuda.so" : reason,
           "Install a CUDA build of LibTorch with the libraries it loads, or set train.device to cpu.");
  }
  if (!at::hasCUDA()) {
    refuse("LibTorch finds no GPU", "Run where a GPU and its driver are, or set train.device to cpu.");
  }
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(gpu)};
}

}  // namespace mgrn::model::tensor
