// SPDX-License-Identifier: Apache-2.0
// In place of nccl.cpp where the build found no NCCL: says what is missing and how to get it.
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/nccl.hpp"

namespace mgrn::comm {
namespace {

constexpr const char* kMissing = "built without NCCL (no nccl.h was found)";

[[noreturn]] void refuse() {
  throw base::UsageError(
      {.what = "several ranks cannot compute on GPUs with this build",
       .file = "train.device",
       .expected = "a build with NCCL, or one rank",
       .got = kMissing,
       .hint = "install NCCL's headers (libnccl-dev, module nccl, or NCCL_ROOT) and build again with "
               "-DMGRN_NCCL=REQUIRED; or start one rank, or set train.device to cpu"});
}

}  // namespace

std::unique_ptr<DeviceCommunicator> make_nccl_communicator(Communicator&, const NcclOptions&) {
  refuse();
}

void require_nccl() {
  refuse();
}

std::vector<std::string> visible_gpus() {
  refuse();
}

std::string describe_nccl() {
  return std::string(kMissing) + ": ranks on GPUs need it";
}

}  // namespace mgrn::comm
