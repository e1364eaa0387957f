// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/comm/gpu_binding.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/topology.hpp"

namespace mgrn::comm {
namespace {

constexpr const char* kHint =
    "start at most as many ranks on a node as it has GPUs (srun --ntasks-per-node), each seeing all of them "
    "or "
    "one of its own (--gpus-per-task=1)";

using Uuids = std::vector<std::string>;

// UUIDs hold no line breaks.
std::string joined(const Uuids& uuids) {
  std::string text;
  for (const auto& uuid : uuids) {
    text += uuid + "\n";
  }
  return text;
}

Uuids parted(const Bytes& bytes) {
  Uuids uuids;
  std::string uuid;
  for (const std::byte letter : bytes) {
    if (static_cast<char>(letter) == '\n') {
      uuids.push_back(std::move(uuid));
      uuid.clear();
    } else {
      uuid += static_cast<char>(letter);
    }
  }
  return uuids;
}

std::vector<Uuids> gathered(Communicator& communicator, const Uuids& mine) {
  std::vector<Uuids> all;
  for (const auto& bytes : communicator.all_gather(to_bytes(std::span<const char>(joined(mine))))) {
    all.push_back(parted(bytes));
  }
  return all;
}

// By rank of the node: the number of the first visible GPU that no lower rank has taken.
std::vector<std::optional<int>> dealt_out(const std::vector<Uuids>& visible) {
  std::vector<std::optional<int>> devices;
  Uuids taken;
  for (const auto& mine : visible) {
    const auto free = std::ranges::find_if(
        mine, [&](const std::string& uuid) { return std::ranges::find(taken, uuid) == taken.end(); });
    if (free == mine.end()) {
      devices.emplace_back();
      continue;
    }
    taken.push_back(*free);
    devices.emplace_back(static_cast<int>(free - mine.begin()));
  }
  return devices;
}

std::string counted_gpus(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " GPU" : " GPUs");
}

}  // namespace

GpuBinding bind_gpu(Communicator& communicator, const Uuids& visible, GpuSharing sharing) {
  const auto node = communicator.split_by_node();
  const auto of_node = gathered(*node, visible);
  GpuBinding mine;
  agree(communicator, [&] {
    if (visible.empty()) {
      throw base::UsageError({.what = "there is no GPU for this rank on host " + host_name(),
                              .file = "train.device",
                              .expected = "a visible GPU",
                              .got = "none",
                              .hint = "ask Slurm for GPUs (--gpus-per-node), or set train.device to cpu"});
    }
    const auto rank = static_cast<std::size_t>(node->rank());
    const auto device = dealt_out(of_node)[rank];
    if (!device && sharing == GpuSharing::refused) {
      throw base::UsageError(
          {.what = "there is no GPU left for this rank on host " + host_name(),
           .file = "train.device",
           .expected = "a GPU for each of the host's " + std::to_string(node->size()) + " ranks",
           .got = counted_gpus(visible.size()) + " that it sees, all taken by other ranks",
           .hint = kHint});
    }
    mine.device = device.value_or(static_cast<int>(rank % visible.size()));
    mine.uuid = visible[static_cast<std::size_t>(mine.device)];
  });
  const auto chosen = gathered(communicator, {mine.uuid});
  // All ranks see the same choices, so all find the same pair.
  std::map<std::string, std::size_t> owners;
  for (std::size_t rank = 0; rank < chosen.size() && sharing == GpuSharing::refused; ++rank) {
    const auto [owner, first] = owners.emplace(chosen[rank].front(), rank);
    if (!first) {
      throw base::UsageError({.what = "two ranks would compute on one GPU",
                              .file = "train.device",
                              .expected = "a GPU of its own for every rank",
                              .got = chosen[rank].front() + " for ranks " + std::to_string(owner->second) +
                                     " and " + std::to_string(rank),
                              .hint = kHint});
    }
  }
  return mine;
}

}  // namespace mgrn::comm
