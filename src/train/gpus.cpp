// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/gpus.hpp"

#include <chrono>
#include <vector>

#include "multigrnformer/comm/agree.hpp"

namespace mgrn::train {
namespace {

bool several_gpus(const Settings& settings, const comm::Communicator& communicator) {
  return settings.device == "cuda" && communicator.size() > 1;
}

comm::GpuSharing sharing_of(const Settings& settings) {
  return settings.share_gpus ? comm::GpuSharing::allowed : comm::GpuSharing::refused;
}

}  // namespace

comm::GpuBinding choose_gpu(const Settings& settings, comm::Communicator& communicator) {
  if (!several_gpus(settings, communicator)) {
    return {};
  }
  std::vector<std::string> visible;
  comm::agree(communicator, [&] { visible = comm::visible_gpus(); });
  return comm::bind_gpu(communicator, visible, sharing_of(settings));
}

std::unique_ptr<comm::DeviceCommunicator> connect_gpus(const Settings& settings, const comm::GpuBinding& gpu,
                                                       comm::Communicator& communicator) {
  if (!several_gpus(settings, communicator)) {
    return nullptr;
  }
  return comm::make_nccl_communicator(
      communicator, {.device = gpu.device,
                     .time_limit = std::chrono::duration<double>(settings.collective_limit_s),
                     .sharing = sharing_of(settings)});
}

}  // namespace mgrn::train
