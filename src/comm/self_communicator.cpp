// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>

#include "collective_arguments.hpp"
#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm {
namespace {

class SelfCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string backend() const override { return "self"; }

  void barrier() override {}
  void broadcast(std::span<std::byte>, int root) override { check_root("broadcast", root, 1); }
  void all_reduce(std::span<std::int64_t>, Reduction) override {}
  void all_reduce(std::span<float>, Reduction) override {}
  void all_reduce(std::span<double>, Reduction) override {}
  std::vector<Bytes> all_gather(std::span<const std::byte> mine) override { return {to_bytes(mine)}; }
  std::vector<Bytes> gather(std::span<const std::byte> mine, int root) override {
    check_root("gather", root, 1);
    return {to_bytes(mine)};
  }
  std::vector<Bytes> exchange(std::vector<Bytes> to_rank) override {
    check_destinations(to_rank.size(), 1);
    return to_rank;
  }
  std::unique_ptr<Communicator> split(int) override { return make_self_communicator(); }
  std::unique_ptr<Communicator> split_by_node() override { return make_self_communicator(); }
  SharedMemory share_memory(std::uint64_t bytes) override { return private_memory(bytes); }

  void abort(base::ExitCode code) noexcept override {
    std::fflush(nullptr);
    std::_Exit(static_cast<int>(code));
  }
};

}  // namespace

std::unique_ptr<Communicator> make_self_communicator() {
  return std::make_unique<SelfCommunicator>();
}

}  // namespace mgrn::comm
