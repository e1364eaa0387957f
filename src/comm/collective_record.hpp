// SPDX-License-Identifier: Apache-2.0
// What is known of one collective on one rank. Travels between ranks as it is, so it is plain and small: 64
// of them fit into a message that every MPI sends at once, without waiting for its receiver.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mgrn::comm {

enum class Operation : std::uint8_t {
  barrier,
  broadcast,
  all_reduce,
  all_gather,
  gather,
  exchange,
  split,
  split_by_node,
  share_memory,
  file_access,  ///< through HDF5 and MPI-IO, which wait by themselves
  connect,      ///< making, and ending, a communicator of another library
  close,
};
enum class Element : std::uint8_t { none, bytes, int64, float32, float64 };
enum class Carrier : std::uint8_t { host, nccl };

struct CollectiveRecord {
  std::uint64_t sequence = 0;  ///< in its communicator, from 1
  std::uint64_t count = 0;     ///< of this rank's elements
  float entered_s = 0;         ///< since the session began
  float took_s = -1;           ///< negative: still inside
  std::int32_t argument = 0;   ///< root, or reduction
  Operation operation = Operation::barrier;
  Element element = Element::none;
  Carrier carrier = Carrier::host;
  std::array<char, 1> unused = {};
  /// "world", or for a part "world.7:2": made by the world's collective number 7, its first member rank 2.
  /// Cut where it is too long.
  std::array<char, 24> communicator = {};
};
static_assert(sizeof(CollectiveRecord) == 56);

constexpr std::size_t kKeptCollectives = 64;

/// "all_reduce of 257003 int64 (sum), number 17 of world"; "all_reduce over NCCL of ...".
std::string describe(const CollectiveRecord& record);
std::string communicator_name(const CollectiveRecord& record);
void set_communicator_name(CollectiveRecord& record, std::string_view name);

/// Whether two ranks' records can be one collective: the same number, name and argument, and the same count
/// where the operation wants one.
bool fit_together(const CollectiveRecord& a, const CollectiveRecord& b);

/// The last kKeptCollectives of a rank.
class CollectiveHistory {
 public:
  void begin(const CollectiveRecord& record);
  void end_newest(float took_s);
  /// Oldest first.
  std::vector<CollectiveRecord> records() const;

 private:
  std::array<CollectiveRecord, kKeptCollectives> kept_ = {};
  std::size_t begun_ = 0;
};

/// A table of records for people, a line each.
std::string table_of(const std::vector<CollectiveRecord>& records);

}  // namespace mgrn::comm
