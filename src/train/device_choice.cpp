// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/device_choice.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/nccl.hpp"
#include "multigrnformer/comm/slurm_job.hpp"
#include "multigrnformer/model/devices.hpp"
#include "multigrnformer/train/gpus.hpp"
#include "multigrnformer/train/method.hpp"

namespace mgrn::train {
namespace {

struct Seen {
  std::int64_t least, most;  ///< GPUs that a rank can use
};

Seen gpus_of_ranks(comm::Communicator& communicator) {
  const std::int64_t mine = model::usable_gpus();
  std::array<std::int64_t, 2> extremes = {-mine, mine};
  communicator.all_reduce(extremes, comm::Reduction::maximum);
  return {.least = -extremes[0], .most = extremes[1]};
}

// GPUs that were asked for and lie idle are worth a word.
void warn_of_idle_gpus() {
  if (const auto job = comm::find_slurm_job(); job && job->gpus_on_node > 0) {
    base::warn("the job holds GPUs, and the processor computes: " + model::describe_cuda());
  }
}

// What an error says behind "error: ", without its hint.
std::string reason(const base::Error& error) {
  const std::string text = error.what();
  const std::size_t begin = std::string_view("error: ").size();
  return text.substr(begin, text.find('\n') - begin);
}

/// Collective. Why not every rank can compute on a GPU, the same on all; nothing where they can.
std::optional<std::string> obstacle(Settings settings, Work work, comm::Communicator& communicator) {
  settings.device = "cuda";
  try {
    comm::agree(communicator, [&] {
      method_of(settings).check(settings);
      if (work == Work::training && communicator.size() > 1) {
        comm::require_nccl();
      }
    });
    const comm::GpuBinding gpu = choose_gpu(settings, communicator);
    comm::agree(communicator, [&] { method_of(settings).engine(settings, gpu.device); });
    return std::nullopt;
  } catch (const base::UsageError& error) {
    return reason(error);
  }
}

}  // namespace

std::string choose_device(const Settings& settings, Work work, const std::string& begun_by,
                          comm::Communicator& communicator) {
  if (settings.device != "auto") {
    return settings.device;
  }
  const Seen gpus = gpus_of_ranks(communicator);
  if (gpus.most == 0) {
    warn_of_idle_gpus();
    return "cpu";
  }
  const std::string before = comm::broadcast_text(communicator, begun_by);
  if (!before.empty() && !model::is_gpu_engine(before)) {
    base::info("train.device = auto: the processor, where this run began (engine " + before + ")");
    return "cpu";
  }
  const auto why_not = gpus.least == 0 ? std::optional<std::string>("not every rank sees one")
                                       : obstacle(settings, work, communicator);
  if (why_not) {
    base::warn("train.device = auto: the processor computes although there are GPUs: " + *why_not +
               "; train.device = cpu or cuda says what is meant");
    return "cpu";
  }
  return "cuda";
}

}  // namespace mgrn::train
