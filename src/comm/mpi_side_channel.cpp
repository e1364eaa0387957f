// SPDX-License-Identifier: Apache-2.0
#include "mpi_side_channel.hpp"

#include <list>

#include "mpi_communicator.hpp"

namespace mgrn::comm {
namespace {

constexpr int kTag = 1;

class MpiSideChannel final : public SideChannel {
 public:
  explicit MpiSideChannel(MPI_Comm handle) : handle_(handle) {}
  MpiSideChannel(const MpiSideChannel&) = delete;
  MpiSideChannel& operator=(const MpiSideChannel&) = delete;
  ~MpiSideChannel() override {
    forget_sent();
    if (!sending_.empty()) {
      // Letters to ranks that never looked. MPI may still read them, and cannot be told not to.
      static auto* const kept = new std::list<Sending>();
      kept->splice(kept->end(), sending_);
    }
  }

  void send(int rank, Bytes text) override {
    forget_sent();
    Sending& letter = sending_.emplace_back(Sending{std::move(text), MPI_REQUEST_NULL});
    check_mpi(MPI_Isend(letter.text.data(), static_cast<int>(letter.text.size()), MPI_BYTE, rank, kTag,
                        handle_, &letter.request),
              "MPI_Isend");
  }

  std::optional<Letter> receive() override {
    int there = 0;
    MPI_Status status;
    check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, kTag, handle_, &there, &status), "MPI_Iprobe");
    if (there == 0) {
      return std::nullopt;
    }
    int size = 0;
    check_mpi(MPI_Get_count(&status, MPI_BYTE, &size), "MPI_Get_count");
    Letter letter{status.MPI_SOURCE, Bytes(static_cast<std::size_t>(size))};
    check_mpi(
        MPI_Recv(letter.text.data(), size, MPI_BYTE, status.MPI_SOURCE, kTag, handle_, MPI_STATUS_IGNORE),
        "MPI_Recv");
    return letter;
  }

 private:
  struct Sending {
    Bytes text;
    MPI_Request request;
  };

  void forget_sent() {
    sending_.remove_if([](Sending& letter) {
      int done = 0;
      return MPI_Test(&letter.request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || done != 0;
    });
  }

  MPI_Comm handle_;
  std::list<Sending> sending_;  // whose places in memory do not change
};

}  // namespace

std::unique_ptr<SideChannel> make_mpi_side_channel(MPI_Comm handle) {
  return std::make_unique<MpiSideChannel>(handle);
}

}  // namespace mgrn::comm
