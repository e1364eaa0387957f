// SPDX-License-Identifier: Apache-2.0
#include "faults/faulty_communicator.hpp"

#include <utility>

#include "multigrnformer/base/error.hpp"

namespace mgrn::test {

using comm::Bytes;
using comm::Reduction;

FaultyCommunicator::FaultyCommunicator(comm::Communicator& inner, std::vector<Fault> plan)
    : inner_(inner), plan_(std::move(plan)) {}

void FaultyCommunicator::enter() {
  ++number_;
  for (const auto& fault : faults_at(plan_, rank(), number_, "collective")) {
    if (fault.what == "fail") {
      throw base::CommunicationError({.what = "a fault in collective " + std::to_string(number_)});
    }
    if (fault.what == "skip") {
      leave_out_ = true;
    } else {
      strike(fault);
    }
  }
}

bool FaultyCommunicator::enter_or_leave_out() {
  enter();
  return !std::exchange(leave_out_, false);
}

void FaultyCommunicator::barrier() {
  if (enter_or_leave_out()) {
    inner_.barrier();
  }
}
void FaultyCommunicator::broadcast(std::span<std::byte> bytes, int root) {
  if (enter_or_leave_out()) {
    inner_.broadcast(bytes, root);
  }
}
void FaultyCommunicator::all_reduce(std::span<std::int64_t> values, Reduction reduction) {
  if (enter_or_leave_out()) {
    inner_.all_reduce(values, reduction);
  }
}
void FaultyCommunicator::all_reduce(std::span<float> values, Reduction reduction) {
  if (enter_or_leave_out()) {
    inner_.all_reduce(values, reduction);
  }
}
void FaultyCommunicator::all_reduce(std::span<double> values, Reduction reduction) {
  if (enter_or_leave_out()) {
    inner_.all_reduce(values, reduction);
  }
}

// A collective whose result has a size cannot be left out, there would be nothing to go on with: the next one
// that can is.
std::vector<Bytes> FaultyCommunicator::all_gather(std::span<const std::byte> mine) {
  enter();
  return inner_.all_gather(mine);
}
std::vector<Bytes> FaultyCommunicator::gather(std::span<const std::byte> mine, int root) {
  enter();
  return inner_.gather(mine, root);
}
std::vector<Bytes> FaultyCommunicator::exchange(std::vector<Bytes> to_rank) {
  enter();
  return inner_.exchange(std::move(to_rank));
}
std::unique_ptr<comm::Communicator> FaultyCommunicator::split(int group) {
  enter();
  return inner_.split(group);
}
std::unique_ptr<comm::Communicator> FaultyCommunicator::split_by_node() {
  enter();
  return inner_.split_by_node();
}
comm::SharedMemory FaultyCommunicator::share_memory(std::uint64_t bytes) {
  enter();
  return inner_.share_memory(bytes);
}

}  // namespace mgrn::test
